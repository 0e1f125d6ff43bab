#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0
"""Puts what `make bench` has measured where people read it.

usage: scripts/bench-doc.py RESULTS     writes doc/bench.md, doc/bench/*.svg, and what stands in
                                        README.md between its markers, from build/bench/results.json;
                                        keeps the figures in doc/bench/results.json
       scripts/bench-doc.py --check     whether those are what is made of doc/bench/results.json

Results of a quick run are refused. Where nothing was ever put, --check has nothing to say.
"""

import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench"))

import plot  # noqa: E402
import table  # noqa: E402

PAGE = ROOT / "doc/bench.md"
DIRECTORY = ROOT / "doc/bench"
RESULTS = DIRECTORY / "results.json"
README = ROOT / "README.md"
MARKS = re.compile(r"(<!-- bench -->\n).*?(<!-- end of bench -->)", re.S)

HEAD = """<!-- SPDX-License-Identifier: GPL-2.0 -->
<!-- Made by scripts/bench-doc.py from doc/bench/results.json. -->

# What it costs, measured

Made by `sudo make bench`, which compares, on one machine and in interleaved rounds, no filter, empty
programs at the same hooks, each layer, and what one would have instead, with the same policy: the
kill switch of `wg0.conf` with the private networks accepted. Figures are medians, in parentheses the
quartiles. A ratio is taken within each round, to no filter in the same round; `no filter, once more`
is another namespace just like it, and shows how far two that are the same differ.
[bench/README.md](../bench/README.md) says how it is measured.

"""

SHORT = ["no filter, once more", "device", "device, peer, socket (the default)",
         "device, peer, socket, netns", "iptables-legacy", "iptables-nft", "nftables with a set"]


def where(part):
    run = part["run"]
    return (f"Linux {run['kernel']}, {run['processor']}, {run['processors']} processors, "
            f"egressguard {run['version']}{' (' + run['commit'] + ')' if run['commit'] else ''}, "
            f"{run['when'][:10]}, load {run['load_before']}")


def page(results, files):
    lines = [HEAD.rstrip("\n") + "\n"]
    seen = None
    for name, title, head, rows in table.tables(results):
        if name != seen:
            lines.append(f"<!-- {name} -->\n{where(results['parts'][name])}:\n")
            lines += [f"![{file}](bench/{file})\n" for file in files if PLOT_OF.get(file) == name]
            seen = name
        lines.append(f"### {title}\n")
        lines.append(table.markdown(head, rows))
    left = [f"- {name}: {row}: {why}" for name, part in results["parts"].items()
            for row, why in part.get("left_out", {}).items()]
    if left:
        lines.append("### Left out\n\n" + "\n".join(left) + "\n")
    return "\n".join(lines)


PLOT_OF = {"packet.svg": "packet", "blocked.svg": "packet", "growth.svg": "growth",
           "decide.svg": "decide"}


def section(results, files):
    """README's share: the packet in short, and the plots."""
    parts = results["parts"]
    lines = []
    if "packet" in parts:
        part = parts["packet"]
        names = [name for name in ("udp-64", "udp-1400", "packet-64", "connect", "blocked-64")
                 if name in part["table"]]
        texts = {row: text for row, text in part["rows"].items() if text in SHORT}
        rows = [[text, *(f"{part['table'][name][row]['ratio']['median']:.2f}"
                         if row in part["table"][name] else "–" for name in names)]
                for row, text in texts.items()]
        heads = [("blocked: " if name in part["blocked"] else "") + part["traffic"][name]
                 for name in names]
        lines += [f"One packet, times what it takes without a filter ({where(part)}):\n",
                  table.markdown(["", *heads], rows)]
    lines += [f"![{file}](doc/bench/{file})\n" for file in ("packet.svg", "growth.svg") if file in files]
    return "\n".join(lines)


def made(results):
    """Path -> text of all that is made of them."""
    files = plot.plots(results)
    readme = README.read_text(encoding="utf-8")
    if not MARKS.search(readme):
        raise SystemExit("README.md: the marks of bench-doc.py are gone")
    texts = {DIRECTORY / name: text for name, text in files.items()}
    texts[PAGE] = page(results, files)
    share = section(results, files)
    texts[README] = MARKS.sub(lambda found: found[1] + share + found[2], readme)
    return texts


def main():
    if sys.argv[1:] == ["--check"]:
        if not RESULTS.exists():
            return 0
        wrong = [path for path, text in made(json.loads(RESULTS.read_text(encoding="utf-8"))).items()
                 if not path.exists() or path.read_text(encoding="utf-8") != text]
        for path in wrong:
            print(f"{path.relative_to(ROOT)}: not what scripts/bench-doc.py makes of doc/bench/results.json")
        return bool(wrong)
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    results = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
    if any(part["run"]["quick"] for part in results["parts"].values()):
        raise SystemExit(f"{sys.argv[1]}: of a quick run, which means nothing")
    DIRECTORY.mkdir(exist_ok=True)
    for path, text in made(results).items():
        path.write_text(text, encoding="utf-8")
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
