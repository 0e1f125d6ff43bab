# SPDX-License-Identifier: GPL-2.0
"""What grows with the policy, with the number of guards, and with those who watch."""

import json
import pathlib
import tempfile
import time

import bed as beds
import decision
import stats
from bed import BenchError, inside, run

SIZES = [3, 100, 1000, 10000, 100000]
# A rule for each prefix: each packet passes them all.
IPTABLES_MOST = 10000


def timed(*command):
    """Milliseconds."""
    start = time.monotonic()
    run(*command)
    return (time.monotonic() - start) * 1e3


def memory(row):
    """Bytes of a guard's maps, by the kernel's account."""
    total = 0
    for pin in pathlib.Path(beds.PIN_DIR, row).iterdir():
        if not pin.name.startswith(("link_", "prog_", "filter_")):
            shown = run("bpftool", "-j", "map", "show", "pinned", pin).stdout
            total += int(json.loads(shown)["bytes_memlock"])
    return total


def policy_file(directory, size, shift=0):
    """A policy with so many prefixes, those of RFC 1918 among them; `shift` makes another one."""
    lines = "".join(f"Allow = {prefix}\n" for prefix in beds.numbered(size - 3 + shift)[shift:])
    path = pathlib.Path(directory, f"{size}-{shift}.conf")
    path.write_text(f"[Lan]\n{lines}[WireGuard]\nEndpoint = {beds.ENDPOINT}\n", encoding="utf-8")
    return path


def attach(bed, row, path, *options):
    return timed(bed.command, "attach", "--pin-dir", beds.PIN_DIR, "--netns", bed.guarded(row), "--name",
                 row, "--policy", path, *options)


def lives(bed, row, directory, size, times=5):
    """Attach, replace, status: milliseconds. The guard stays."""
    first, second = policy_file(directory, size), policy_file(directory, size, shift=7)
    found = {"attach_ms": [], "replace_ms": [], "status_ms": []}
    for turn in range(times):
        found["attach_ms"].append(attach(bed, row, first))
        found["replace_ms"].append(attach(bed, row, second, "--replace"))
        found["status_ms"].append(timed(bed.command, "status", row, "--pin-dir", beds.PIN_DIR))
        if turn < times - 1:
            bed.guards.append(row)
            bed.detach(row)
    bed.guards.append(row)
    return {**{name: stats.spread(values) for name, values in found.items()},
            "memory_bytes": memory(row)}


def is_in(bed, row):
    """The rules are in, and they refuse: a table that failed to load would be fast."""
    return bed.pace("sendto", [row], rounds=1, count=3, to=beds.PUBLIC)[row]["failed"] > 0


def prefixes(build, say, rounds=100, sizes=SIZES):
    lives_of, left_out = {}, {}
    options = [word for size in sizes for word in ("--prefixes", max(2, size - 3))]
    say("growth: the decision")
    decided = decision.ask(build, "--rounds", rounds, *options)
    with beds.Bed(build) as bed, tempfile.TemporaryDirectory() as directory:
        bed.add("none")
        for size in sizes:
            say(f"growth: {size} prefixes")
            row = f"guard-{size}"
            bed.add(row)
            lives_of[size] = lives(bed, row, directory, size)
            for kind in ("iptables-legacy", "iptables-nft", "nftables"):
                other = f"{kind}-{size}"
                if kind != "nftables" and size > IPTABLES_MOST:
                    left_out[other] = f"a rule for each prefix; not beyond {IPTABLES_MOST:,}"
                    continue
                bed.add(other)
                try:
                    more = beds.numbered(size - 3)
                    if kind == "nftables":
                        beds.nft(bed, other, more)
                    else:
                        beds.iptables(bed, other, kind.removeprefix("iptables-"), more)
                except BenchError as error:
                    left_out[other] = str(error)[-300:]
        rows = [row for row in bed.rows if row not in left_out]
        bed.sink(beds.processors()[1], rows)
        for row in rows:
            if row.startswith(("iptables", "nftables")) and not is_in(bed, row):
                raise BenchError(f"{row} refuses nothing")
        say("growth: a packet")
        measured = bed.pace("udp", rows, rounds=rounds, count=128, size=64, to=beds.LAN)
    base = measured["none"]["ns"]
    return {"sizes": sizes, "left_out": left_out,
            "decision": {f"{path['name']} {size}": decision.over_empty(path)
                         for path, size in zip(decided["paths"],
                                               [size for size in sizes for _ in range(3)])},
            "guard": {str(size): one for size, one in lives_of.items()},
            "packet": {row: {"ns": stats.spread(one["ns"]),
                             "ratio": stats.spread(stats.ratios(one["ns"], base))}
                       for row, one in measured.items()}}


# --- many guards -----------------------------------------------------------------------------------

COUNTS = [1, 10, 100, 1000]
GUARDS_SECONDS = 360


def many(bed, numbers):
    """Namespaces with a veth each, all other ends in one: quickly made."""
    names = [f"m{number}" for number in numbers]
    run("ip", "-batch", "-", data="".join(f"netns add {name}\n" for name in names))
    run("ip", "-batch", "-", data="".join(
        f"link add eth0 netns {name} type veth peer name {name} netns {bed.far('many')}\n"
        for name in names))
    for name in names:
        run(*inside(name, "ip", "-batch", "-"), data="link set lo up\nlink set eth0 up\n"
            "address add 172.18.0.2/16 dev eth0\n")
    return names


def crowd(bed, made, count, end):
    """Guards until there are so many; False where time is up before."""
    new = many(bed, range(len(made) + 1, count))
    made += new
    for name in new:
        if time.monotonic() > end:
            return False
        run(bed.command, "attach", "--pin-dir", beds.PIN_DIR, "--netns", name, "--name", name,
            "--endpoint", beds.ENDPOINT)
    return True


def one_more(bed, times=10):
    """Milliseconds of another attach."""
    found = []
    for _ in range(times):
        bed.detach("first")
        start = time.monotonic()
        bed.attach("first")
        found.append((time.monotonic() - start) * 1e3)
    return stats.spread(found)


def guards(build, say, rounds=200, counts=COUNTS, seconds=GUARDS_SECONDS):
    """The cost of one more, where there are so many already."""
    made, results, left_out = [], {}, {}
    end = time.monotonic() + seconds
    with beds.Bed(build) as bed:
        for row in ("none", "first", "many"):
            bed.add(row)
        bed.attach("first")
        bed.sink(beds.processors()[1], ["none", "first"])
        try:
            for count in counts:
                say(f"guards: {count}")
                if not crowd(bed, made, count, end):
                    left_out[str(count)] = f"not made in {seconds} seconds"
                    break
                attach_ms = one_more(bed)
                paced = bed.pace("udp", ["none", "first"], rounds=rounds, count=256, to=beds.LAN)
                results[str(count)] = {
                    "attach_ms": attach_ms,
                    "status_one_ms": timed(bed.command, "status", "first", "--pin-dir", beds.PIN_DIR),
                    "status_all_ms": timed(bed.command, "status", "--pin-dir", beds.PIN_DIR),
                    "packet_ratio": stats.spread(
                        stats.ratios(paced["first"]["ns"], paced["none"]["ns"])),
                    "memory_bytes_each": memory("first"),
                }
        finally:
            run(bed.command, "detach", "--all", "--pin-dir", beds.PIN_DIR, check=False)
            bed.guards.clear()
            run("ip", "-batch", "-", data="".join(f"netns delete {name}\n" for name in made),
                check=False)
    return {"counts": [count for count in counts if str(count) in results], "left_out": left_out,
            "table": results}
