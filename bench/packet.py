# SPDX-License-Identifier: GPL-2.0
"""One packet through a veth pair, the whole way: no filter, empty programs, each layer of a guard, and
what a user would have instead. And a TCP stream, and what takes the tunnel."""

import json
import signal

import bed as beds
import stats
from bed import BenchError, inside, run

# What a row is, for people. `none` is what all others are compared with; `again` is another namespace
# just like it, and shows how far two that are the same differ.
ROWS = {
    "none": "no filter",
    "again": "no filter, once more",
    "empty": "empty program, as device",
    "empties": "empty programs, as device and peer",
    "empty-nf": "empty program, as netns",
    "device": "device",
    "peer": "peer",
    "netns": "netns",
    "default": "device, peer, socket (the default)",
    "all": "device, peer, socket, netns",
    "iptables-legacy": "iptables-legacy",
    "iptables-nft": "iptables-nft",
    "nftables": "nftables with a set",
}
BLOCKS = {"device", "peer", "netns", "default", "all", "iptables-legacy", "iptables-nft", "nftables"}
FEWER = ["none", "again", "empties", "device", "default", "all", "iptables-legacy", "iptables-nft",
         "nftables"]

# name, what it is, kind of pace, options, whether it is blocked
TRAFFIC = [
    ("udp-64", "UDP, 64 bytes", "udp", {"size": 64, "count": 256, "to": beds.LAN}, False),
    ("udp-1400", "UDP, 1400 bytes", "udp", {"size": 1400, "count": 256, "to": beds.LAN}, False),
    ("udp6-64", "UDP over IPv6, 64 bytes", "udp", {"size": 64, "count": 256, "to": beds.LAN6}, False),
    ("packet-64", "packet socket, UDP, 64 bytes", "packet",
     {"size": 64, "count": 256, "to": beds.LAN}, False),
    ("connect", "TCP connect and close", "connect", {"count": 20, "warm": 2, "to": beds.LAN}, False),
    ("blocked-64", "UDP, 64 bytes", "sendto", {"size": 64, "count": 256, "to": beds.PUBLIC}, True),
    ("blocked6-64", "UDP over IPv6, 64 bytes", "sendto",
     {"size": 64, "count": 256, "to": beds.PUBLIC6}, True),
]


def furnish(bed, row):
    """Makes a row what its name says."""
    g, h = bed.guarded(row), bed.far(row)
    if row == "empty":
        bed.empty(f"device:{g}:eth0")
    elif row == "empties":
        bed.empty(f"device:{g}:eth0", f"peer:{h}:veth0")
    elif row == "empty-nf":
        bed.empty(f"netns:{g}")
    elif row == "device":
        bed.attach(row)
        bed.drop_links(row, "peer")
    elif row == "peer":
        bed.attach(row)
        bed.drop_links(row, "device")
    elif row == "netns":
        # Stopped, so that it does not mend what is taken away here.
        bed.attach_held(row).send_signal(signal.SIGSTOP)
        bed.drop_links(row, "device")
        bed.drop_links(row, "peer")
    elif row == "default":
        bed.attach(row)
    elif row == "all":
        bed.attach_held(row)
    elif row.startswith("iptables-"):
        beds.iptables(bed, row, row.removeprefix("iptables-"))
    elif row == "nftables":
        beds.nft(bed, row)


def make(bed, rows, left_out):
    """What cannot be had here is left out, and why is in the results."""
    for row in rows:
        bed.add(row)
        try:
            furnish(bed, row)
        except BenchError as error:
            if row in ("none", "again"):
                raise
            left_out[row] = str(error)
    return [row for row in rows if row not in left_out]


def collect(into, name, measured):
    for row, one in measured.items():
        into.setdefault(name, {}).setdefault(row, []).extend(one["ns"])


def check_arrived(name, row, sent, arrived, blocked):
    """A row that does not do what it says would be measured for nothing. A backlog of the kernel's may
    run over on a busy machine; what is blocked never arrives."""
    if blocked and row in BLOCKS:
        if arrived:
            raise BenchError(f"{name}: {arrived} of {sent} arrived past {row}")
    elif not 0.9 * sent <= arrived <= sent:
        raise BenchError(f"{name}: of {sent} that {row} lets pass, {arrived} arrived")


def one_bed(build, rounds, into, left_out):
    with beds.Bed(build) as bed:
        rows = make(bed, ROWS, left_out)
        bed.sink(beds.processors()[1])
        for name, _, kind, options, blocked in TRAFFIC:
            before = {row: bed.received(row) for row in rows}
            measured = bed.pace(kind, rows, rounds=rounds, **options)
            collect(into, name, measured)
            if kind == "connect":
                if any(one["failed"] for one in measured.values()):
                    raise BenchError(f"{name}: connections failed")
                continue
            for row in rows:
                check_arrived(name, row, measured[row]["done"],
                              bed.received(row) - before[row], blocked)


def tabulate(measured):
    """Medians, and ratios to `none` of the same rounds."""
    table = {}
    for name, rows in measured.items():
        table[name] = {row: {"ns": stats.spread(values),
                             "ratio": stats.spread(stats.ratios(values, rows["none"]))}
                       for row, values in rows.items()}
    return table


def packet(build, say, rounds=150, passes=4):
    measured, left_out = {}, {}
    for number in range(passes):
        say(f"packet: bed {number + 1} of {passes}")
        # Namespaces of their own each time: where things lie in memory is part of a time.
        one_bed(build, rounds, measured, left_out)
    return {"rows": ROWS, "traffic": {name: text for name, text, *_ in TRAFFIC}, "passes": passes,
            "blocked": [name for name, *_, blocked in TRAFFIC if blocked], "left_out": left_out,
            "table": tabulate(measured)}


# --- a TCP stream ----------------------------------------------------------------------------------

STREAMS = {"stream": ("TCP stream", "512M", "on"),
           "stream-no-gso": ("TCP stream without GSO, TSO, GRO", "96M", "off")}


def stream_once(bed, row, amount):
    """Nanoseconds a kilobyte, as the client saw it."""
    sender = beds.processors()[0]
    done = run(*inside(bed.guarded(row), "taskset", "-c", sender, "iperf3", "-J", "-c", beds.LAN, "-n",
                       amount), check=False)
    try:
        end = json.loads(done.stdout)["end"]["sum_received"]
        return end["seconds"] * 1e9 / (end["bytes"] / 1024)
    except (KeyError, ValueError, ZeroDivisionError) as error:
        raise BenchError(f"iperf3 at {row}: {done.stdout[-200:] or done.stderr}") from error


def serve(bed, row):
    bed.start(inside(bed.far(row), "taskset", "-c", beds.processors()[1], "iperf3", "-s", "-B",
                     beds.LAN))

    def listens():
        return run(*inside(bed.far(row), "ss", "-Hltn", "sport = :5201")).stdout.strip()

    beds.wait_until(10, listens, "iperf3 -s")


def stream(build, say, rounds=20, passes=2):
    measured, left_out = {}, {}
    for number in range(passes):
        say(f"stream: bed {number + 1} of {passes}")
        with beds.Bed(build) as bed:
            rows = make(bed, FEWER, left_out)
            for row in rows:
                serve(bed, row)
            for name, (_, amount, offloads) in STREAMS.items():
                for row in rows:
                    for netns, interface in ((bed.guarded(row), "eth0"), (bed.far(row), "veth0")):
                        run(*inside(netns, "ethtool", "-K", interface, "gso", offloads, "tso", offloads,
                                    "gro", offloads))
                for turn in range(rounds):
                    for k in range(len(rows)):
                        row = rows[(k + turn * 5) % len(rows)]
                        measured.setdefault(name, {}).setdefault(row, []).append(
                            stream_once(bed, row, amount))
    table = tabulate(measured)
    for rows in table.values():
        for one in rows.values():
            # 1024 bytes in so many nanoseconds.
            one["gbit_s"] = 8 * 1024 / one["ns"]["median"]
    return {"traffic": {name: text for name, (text, *_) in STREAMS.items()}, "left_out": left_out,
            "unit": "ns a KiB", "table": table}


# --- through the tunnel ----------------------------------------------------------------------------

TUNNEL_ROWS = ["none", "again", "empty-nf", "default", "all"]
SERVER = "10.13.13.1"


def tunnel_up(bed, row):
    """wireguard-go, or the kernel's WireGuard where it is there. Their sockets share a directory, so
    that each needs a name of its own."""
    name, g = f"wg-{row}", bed.guarded(row)
    key = run("wg", "genkey").stdout.strip()
    peer = run("wg", "pubkey", data=run("wg", "genkey").stdout).stdout.strip()
    process = None
    if run("ip", "-n", g, "link", "add", name, "type", "wireguard", check=False).returncode:
        process = bed.start(inside(g, "wireguard-go", "-f", name))
        # Whoever asks between its bind() and its listen() is refused.
        beds.wait_until(10, lambda: any(
            " 00010000 " in line and line.endswith(f"/{name}.sock")
            for line in run(*inside(g, "cat", "/proc/net/unix")).stdout.splitlines()), "wireguard-go")
    run(*inside(g, "wg", "set", name, "private-key", "/dev/stdin", "peer", peer, "allowed-ips",
                "0.0.0.0/0", "endpoint", beds.ENDPOINT), data=key)
    run("ip", "-n", g, "-batch", "-", data=f"address add 10.13.13.2/24 dev {name}\n"
        f"link set {name} mtu 1420 up\n")
    return process


def tunnel(build, say, rounds=150, passes=4):
    """What the guard adds before the tunnel has the packet. wireguard-go is stopped meanwhile: its
    queue is full, the kernel drops at the tunnel's door, and no encryption hides a nanosecond."""
    measured, userspace = {}, False
    for number in range(passes):
        say(f"tunnel: bed {number + 1} of {passes}")
        with beds.Bed(build) as bed:
            stopped = []
            for row in TUNNEL_ROWS:
                bed.add(row)
                stopped.append(tunnel_up(bed, row))
                if row == "default":
                    bed.attach(row, "--tunnel", f"wg-{row}")
                elif row == "all":
                    bed.attach_held(row, "--tunnel", f"wg-{row}")
                else:
                    furnish(bed, row)
            before = bed.counted("all")["allowed"]["tunnel"]["packets"]
            for process in stopped:
                if process:
                    userspace = True
                    process.send_signal(signal.SIGSTOP)
            sent = 0
            for size in (64, 1380):
                paced = bed.pace("udp", TUNNEL_ROWS, rounds=rounds, count=256, size=size, to=SERVER)
                collect(measured, f"tunnel-{size}", paced)
                sent += paced["all"]["done"]
            seen = bed.counted("all")["allowed"]["tunnel"]["packets"] - before
            if seen < sent:
                raise BenchError(f"the layer `netns` saw {seen} of {sent} packets to the tunnel: "
                                 "it was not what was measured")
    return {"traffic": {"tunnel-64": "UDP, 64 bytes, to the tunnel",
                        "tunnel-1380": "UDP, 1380 bytes, to the tunnel"},
            "wireguard": "wireguard-go, stopped" if userspace else "kernel", "table": tabulate(measured)}
