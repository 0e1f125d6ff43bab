#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: GPL-2.0
"""Makes doc/states.md: the state table of tests/e2e/states.table with what was seen on a walk through.

usage: scripts/states-doc.py LOG...     writes doc/states.md
       scripts/states-doc.py --check    compares it with the table

LOG is what tests/e2e/test_states.sh has printed, or tests/run of it: BUILD/test-log/e2e-test_states.log,
BUILD/vmtest/KERNEL.log. One without a whole walk is refused, and so is one with a failure.
--check fails if a state or an event of the table is not in doc/states.md as it is in the table, or has
no result there.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/e2e"))

from states import Table  # noqa: E402

PAGE = ROOT / "doc/states.md"
NONE = "–"

HEAD = """<!-- SPDX-License-Identifier: GPL-2.0 -->
<!-- Made by scripts/states-doc.py from tests/e2e/states.table and the results of a test. -->

# What may leave, in which state

A container runs WireGuard (`wg0`), and `egressguard attach` guards its network. This is what may
leave it in each state of the tunnel and of the guard, and what did leave when it was tested. The
test, `tests/e2e/test_states.sh`, walks through all of these states, while something inside sends to
the internet in each of {families} ways, over and over, and looks outside of the container for what
arrives.

- **Tunnel**: whether the tunnel carries packets in this state. What goes through it is free.
- **LAN**: private addresses, as the policy says.
- **WireGuard**: its own encrypted packets, to the endpoint in the policy.
- **Else**: anything else, which means: in the clear.
- **`status`**: what the command says of the guard then. A state without a guard is never called
  `enforcing`.
- **Seen in the clear**: the packets that arrived outside of the tunnel, of the probes that were sent.
  Under a guard that is 0, or the test fails. The other numbers show that the test sees what leaves
  (some probes are several packets; with the tunnel up some take the tunnel).

Tested:

{kernels}

"""

EVENTS = """
## On the way from one state to another

What was seen in the clear from the moment of the event until everything had been sent once more.
Where one end has no guard, packets are free until `attach` is through, or as soon as the guard goes.
"""

CONTROL = """
## The ways to send, and what is seen of them without a guard

The first state, `{start}`, is the positive control: who does not see a probe when nothing holds it
back proves nothing by not seeing it later. Past the qdisc means `PACKET_QDISC_BYPASS`; the last six
are answers that the container's kernel gives to somebody on the internet.
"""


class Result:
    """One kernel's walk, from a log."""

    LINE = re.compile(r"PASS (?:e2e/test_states: )?(state|event|control|walk)[ ,:]+(.*)")
    FAIL = re.compile(r"FAIL (?:e2e/test_states: |(?!\w+/))(.*)")

    def __init__(self, path):
        self.cells = {}
        self.kernel = self.layer = self.wireguard = None
        for line in pathlib.Path(path).read_text(encoding="utf-8", errors="replace").splitlines():
            if found := self.FAIL.fullmatch(line):
                raise SystemExit(f"{path}: a test failed: {found[1]}")
            if not (found := self.LINE.fullmatch(line)):
                continue
            kind, text = found.groups()
            if kind == "walk":
                walk = re.fullmatch(r"\d+ events, Linux (\S+), (\S+), (\S+) WireGuard", text)
                self.kernel, self.layer, self.wireguard = walk.groups()
            else:
                name, count = text.rsplit(": ", 1)
                clear, sent = re.match(r"(\d+) of (\d+) in the clear", count).groups()
                self.cells[kind, name] = f"{int(clear):,} of {int(sent):,}"
        if not self.kernel:
            raise SystemExit(f"{path}: no walk through the whole table")

    @property
    def title(self):
        return "Linux " + re.match(r"\d+\.\d+", self.kernel)[0]

    @property
    def what(self):
        wireguard = {"kernel": "the kernel's WireGuard", "userspace": "wireguard-go"}
        release = re.match(r"[\d.]+(-\d+)?", self.kernel)[0]
        return f"- {self.title}: {release}, {self.layer}, {wireguard[self.wireguard]}"


def state_cells(state):
    """What the page says of a state, apart from results."""
    status = " or ".join(f"`{word}`" for word in state.status.split("|"))
    if state.status == "none":
        status = "no such guard"
    tunnel = "yes" if state.tunnel == "yes" else NONE
    others = {"guarded": ["yes", "yes", "no"], "open": ["yes", "yes", "**yes**"],
              "nobody": [NONE, NONE, NONE]}[state.leaves]
    return [f"`{state.name}`", state.text, tunnel, *others, status]


def event_cells(event):
    return [f"`{event.origin}`", event.text, f"`{event.target}`"]


def row(cells):
    return "| " + " | ".join(cells) + " |"


def table_of(heads, rows):
    return [row(heads), row(["---"] * len(heads)), *(row(cells) for cells in rows), ""]


def page(table, results):
    families = [name for kind, name in results[0].cells if kind == "control"]
    kernels = [result.title for result in results]
    lines = HEAD.format(families=len(families),
                        kernels="\n".join(result.what for result in results)).splitlines()

    def seen(kind, name):
        return [result.cells.get((kind, name), NONE) for result in results]

    lines += ["## States", ""]
    lines += table_of(
        ["State", "", "Tunnel", "LAN", "WireGuard", "Else", "`status`",
         *(f"Seen in the clear, {kernel}" for kernel in kernels)],
        [state_cells(state) + seen("state", state.name) for state in table.states.values()])
    lines += EVENTS.strip("\n").splitlines() + [""]
    lines += table_of(
        ["From", "What happens", "To", *(f"Seen in the clear, {kernel}" for kernel in kernels)],
        [event_cells(event) + seen("event", f"{event.origin}, {event.name}, {event.target}")
         for event in table.events])
    lines += CONTROL.format(start=table.start).strip("\n").splitlines() + [""]
    lines += table_of(["Probe", *(f"Seen, {kernel}" for kernel in kernels)],
                      [[name, *seen("control", name)] for name in families])
    return "\n".join(lines).rstrip("\n") + "\n"


def check(table):
    """What is wrong with the page."""
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")]
            for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    wanted = [state_cells(state) for state in table.states.values()]
    wanted += [event_cells(event) for event in table.events]
    problems = []
    for cells in wanted:
        found = [row for row in rows if row[:len(cells)] == cells]
        if not found:
            problems.append(f"'{row(cells)}' is not there")
        elif not re.search(r"\d of \d", " ".join(found[0][len(cells):])):
            problems.append(f"'{row(cells)}' has no result")
    for cells in rows:
        if not any(cells[:len(other)] == other for other in wanted):
            problems.append(f"'{row(cells)}' is not in the table any more")
    return problems


def version(result):
    return [int(part) for part in re.findall(r"\d+", result.title)]


def main():
    table = Table(ROOT / "tests/e2e/states.table")
    if sys.argv[1:] == ["--check"]:
        problems = check(table)
        for problem in problems:
            print(f"doc/states.md: {problem}")
        return bool(problems)
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    results = sorted((Result(path) for path in sys.argv[1:]), key=version)
    PAGE.write_text(page(table, results), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
