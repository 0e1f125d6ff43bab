# SPDX-License-Identifier: GPL-2.0
"""Results as tables of text: for a terminal, and for README."""

from packet import ROWS


def number(value, unit=""):
    if value is None:
        return "–"
    if isinstance(value, int):
        return f"{value:,}{unit}"
    if abs(value) >= 1000:
        return f"{value:,.0f}{unit}"
    if abs(value) >= 10:
        return f"{value:.1f}{unit}"
    return f"{value:.2f}{unit}"


def ratio(one):
    """Median and quartiles."""
    return f"{one['median']:.3f} ({one['q1']:.2f}–{one['q3']:.2f})"


def times(one):
    return f"{number(one['median'])} ({number(one['q1'])}–{number(one['q3'])})"


def size(value):
    return f"{value / 1024:,.0f} KiB"


# Each: a title, a head and rows, from one part of the results.


def decide(part):
    rows = [[name, one["reason"], times(one["over_empty_ns"]), number(one["empty_ns"]["median"])]
            for name, one in part["paths"].items()]
    yield ("The decision alone, over an empty program (BPF_PROG_TEST_RUN)",
           ["path", "reason", "ns over empty", "empty, ns"], rows)
    yield ("Programs", ["program", "instructions", "translated", "bytes compiled", "verifier"],
           [[one["name"], *(number(one[key]) for key in
                            ("loaded", "translated", "jited_bytes", "verified"))]
            for one in part["programs"] if one["loads"]])


def whole_path(part, names, rows_text, title):
    names = [name for name in names if name in part["table"]]
    rows = [row for row in rows_text if any(row in part["table"][name] for name in names)]
    body = [[rows_text[row], *(ratio(part["table"][name][row]["ratio"])
                               if row in part["table"][name] else "–" for name in names)]
            for row in rows]
    body.append(["no filter, ns", *(number(part["table"][name]["none"]["ns"]["median"])
                                    for name in names)])
    yield (title, ["", *(part["traffic"][name] for name in names)], body)


def packet(part):
    blocked = part["blocked"]
    yield from whole_path(part, [name for name in part["traffic"] if name not in blocked], part["rows"],
                          "One packet allowed to the LAN, times no filter")
    yield from whole_path(part, blocked, part["rows"], "One packet blocked, times no filter")


def stream(part):
    for name, text in part["traffic"].items():
        yield (text, ["", "times no filter", "Gbit/s"],
               [[ROWS[row], ratio(one["ratio"]), number(one["gbit_s"])]
                for row, one in part["table"][name].items()])


def tunnel(part):
    yield from whole_path(part, list(part["traffic"]), ROWS,
                          f"One packet to the tunnel ({part['wireguard']}), times no filter")


def growth(part):
    sizes = part["sizes"]
    yield ("Prefixes: one packet to the LAN, times no filter", ["", *map(number, sizes)], [
        [kind, *(ratio(part["packet"][f"{kind}-{size}"]["ratio"])
                 if f"{kind}-{size}" in part["packet"] else "–" for size in sizes)]
        for kind in ("guard", "nftables", "iptables-nft", "iptables-legacy")])
    paths = dict.fromkeys(name.rsplit(" ", 1)[0] for name in part["decision"])
    yield ("Prefixes: the decision, ns over an empty program", ["path", *map(number, sizes)], [
        [path, *(times(part["decision"][f"{path} {size}"]["over_empty_ns"]) for size in sizes)]
        for path in paths])
    lives = [part["guard"][str(size)] for size in sizes]
    yield ("Prefixes: what the commands take", ["", *map(number, sizes)], [
        ["attach, ms", *(times(one["attach_ms"]) for one in lives)],
        ["attach --replace, ms", *(times(one["replace_ms"]) for one in lives)],
        ["status, ms", *(times(one["status_ms"]) for one in lives)],
        ["memory", *(size(one["memory_bytes"]) for one in lives)]])


def guards(part):
    rows = [part["table"][str(count)] for count in part["counts"]]
    yield ("Guards on one machine", ["", *map(number, part["counts"])], [
        ["attach one more, ms", *(times(one["attach_ms"]) for one in rows)],
        ["one packet, times no filter", *(ratio(one["packet_ratio"]) for one in rows)],
        ["status of one, ms", *(number(one["status_one_ms"]) for one in rows)],
        ["status of all, ms", *(number(one["status_all_ms"]) for one in rows)],
        ["memory of one", *(size(one["memory_bytes_each"]) for one in rows)]])


def events(part):
    yield ("Events a second", ["viewer", "none lost up to", "flood", "shown", "lost",
                               "shown + lost = blocked", "ns of viewer an event"],
           [[name, number(one["without_loss"]), number(one["flood"]["rate"]),
             number(one["flood"]["shown"]), number(one["flood"]["lost"]),
             "yes" if all(each["exact"] for each in [one["flood"], *one["tries"]]) else "NO",
             number(one["flood"]["viewer_ns_per_event"])] for name, one in part["table"].items()])
    yield ("Viewers: one blocked packet", ["viewers", "ns", "times none"],
           [[count, times(one["ns"]), ratio(one["ratio"])]
            for count, one in part["viewers"]["table"].items()])


def others(part):
    yield ("A namespace without a guard", ["", *part["traffic"].values()], [
        [text, *(ratio(part["table"][kind][state]["ratio"]) for kind in part["traffic"])]
        for state, text in part["states"].items()])


PARTS = {"packet": packet, "decide": decide, "stream": stream, "tunnel": tunnel, "growth": growth,
         "guards": guards, "events": events, "others": others}


def tables(results):
    """(part, title, head, rows) of all that was measured."""
    for name, function in PARTS.items():
        if name in results["parts"]:
            for title, head, rows in function(results["parts"][name]):
                yield name, title, head, rows


def show(results):
    for _, title, head, rows in tables(results):
        widths = [max(len(str(row[i])) for row in [head, *rows]) for i in range(len(head))]
        print(f"\n{title}")
        for row in [head, *rows]:
            print("  " + "  ".join(str(cell).ljust(width) if i == 0 else str(cell).rjust(width)
                                   for i, (cell, width) in enumerate(zip(row, widths))).rstrip())
    for name, part in results["parts"].items():
        for row, why in part.get("left_out", {}).items():
            print(f"left out of {name}: {row}: {why}")


def markdown(head, rows):
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows]) + "\n"
