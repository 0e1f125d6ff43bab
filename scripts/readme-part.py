#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0
"""Puts what a run has measured into README.md.

usage: scripts/readme-part.py PART FILE

FILE, in Markdown, takes the place of what stands between `<!-- PART -->` and `<!-- end of PART -->`.
"""

import pathlib
import sys

PAGE = pathlib.Path(__file__).resolve().parent.parent / "README.md"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    part, path = sys.argv[1:]
    begin, end = f"<!-- {part} -->\n", f"<!-- end of {part} -->\n"
    page = PAGE.read_text(encoding="utf-8")
    before, found, rest = page.partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        sys.exit(f"README.md has no part {part}")
    text = pathlib.Path(path).read_text(encoding="utf-8").strip()
    PAGE.write_text(f"{before}{begin}\n{text}\n\n{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
