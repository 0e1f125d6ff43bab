# SPDX-License-Identifier: GPL-2.0
"""What is measured in: for each row of a table two network namespaces with a veth between them, one
to be guarded (g-ROW) and one that is its LAN and its internet (h-ROW). All of it is in the private
namespaces that tests/private makes, and ends with the bed."""

import json
import os
import pathlib
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent

LAN, LAN6 = "172.18.0.1", "fd00:18::1"
# Not in the endpoint's /16, as nearly nothing of the internet is: there the policy's table is asked further.
PUBLIC, PUBLIC6 = "198.51.100.7", "2001:db8:7::7"
ENDPOINT = "203.0.113.9:51820"
MARK = 51820
PORT = 9
FAR_MAC, OWN_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
PIN_DIR = os.environ.get("EG_PIN_DIR", "")


class BenchError(Exception):
    """Something that keeps a part from being measured; the text says what."""


def run(*command, data=None, check=True):
    done = subprocess.run([str(word) for word in command], input=data, text=True, check=False,
                          stdin=subprocess.DEVNULL if data is None else None,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if check and done.returncode:
        raise BenchError(f"`{' '.join(map(str, command))}`: {done.stderr.strip() or done.returncode}")
    return done


def inside(netns, *command):
    """Not by `ip netns exec`, which would hide bpffs."""
    return ["nsenter", f"--net=/run/netns/{netns}", "--", *map(str, command)]


def wait_until(seconds, true, what):
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise BenchError(f"{what}: not in {seconds} seconds")
        time.sleep(0.01)


def processors():
    """The one that sends and the one of the far end: where there is only one, it is both."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[-1], usable[-2] if len(usable) > 1 else usable[-1]


def cgroup_root():
    for line in pathlib.Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        _, where, kind, *_ = line.split()
        if kind == "cgroup2":
            return where
    raise BenchError("no cgroup2 is mounted")


class Helper:
    """A process that says `ready` and stays until its standard input ends."""

    def __init__(self, *command):
        self.process = subprocess.Popen([str(word) for word in command], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self.process.stdout.readline().strip() != "ready":
            self.close()
            raise BenchError(f"`{' '.join(map(str, command))}` did not start")

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


# --- the filters -----------------------------------------------------------------------------------

# The kill switch of the seed pattern, as it stands in wg0.conf: the LAN first, then the refusal of
# whatever else does not take the tunnel.
IPTABLES = """*filter
:INPUT ACCEPT
:FORWARD ACCEPT
:OUTPUT ACCEPT
{accept}
-A OUTPUT ! -o wg0 -m mark ! --mark {mark} -m addrtype ! --dst-type LOCAL -j REJECT
COMMIT
"""

# The same as one would write it for nft: a set in place of a rule for each prefix.
NFT = """table inet killswitch {
	set lan { type ipv4_addr; flags interval; elements = { %(lan)s } }
	set lan6 { type ipv6_addr; flags interval; elements = { fc00::/7 } }
	chain output {
		type filter hook output priority 0; policy accept;
		ip daddr @lan accept
		ip6 daddr @lan6 accept
		oifname != "wg0" meta mark != %(mark)s fib daddr type != local reject
	}
}
"""

RFC1918 = ["192.168.0.0/16", "10.0.0.0/8", "172.16.0.0/12"]


def numbered(prefixes):
    """So many networks that nothing merges, after those of RFC 1918; none is one the bed uses."""
    return [f"{101 + (n * 2 >> 16)}.{n * 2 >> 8 & 255}.{n * 2 & 255}.0/24" for n in range(prefixes)]


def iptables(bed, row, kind, more=()):
    for family, lan in (("", [*more, *RFC1918]), ("6", ["fc00::/7"])):
        accept = "\n".join(f"-A OUTPUT -d {prefix} -j ACCEPT" for prefix in lan)
        run(*inside(bed.guarded(row), f"ip{family}tables-{kind}-restore"),
            data=IPTABLES.format(accept=accept, mark=MARK))


def nft(bed, row, more=()):
    rules = NFT % {"lan": ", ".join([*more, *RFC1918]), "mark": MARK}
    run(*inside(bed.guarded(row), "nft", "-f", "-"), data=rules)


# --- the bed ---------------------------------------------------------------------------------------


class Bed:
    def __init__(self, build):
        self.build = build
        self.command = str(build / "egressguard")
        self.rows = []
        self.helpers = []
        self.processes = []
        self.guards = []

    def guarded(self, row):
        return f"g-{row}"

    def far(self, row):
        return f"h-{row}"

    def add(self, row):
        """Two namespaces and their veth; addresses and neighbours known, so that nothing is asked."""
        g, h = self.guarded(row), self.far(row)
        for netns in (g, h):
            run("ip", "netns", "add", netns)
            run(*inside(netns, "sh", "-c", "cd /proc/sys/net && for f in "
                        "ipv4/conf/all/rp_filter ipv4/conf/default/rp_filter "
                        "ipv6/conf/all/accept_dad ipv6/conf/default/accept_dad "
                        "ipv6/conf/default/router_solicitations; do "
                        "[ ! -e $f ] || echo 0 >$f; done"))
        run("ip", "link", "add", "eth0", "address", OWN_MAC, "netns", g, "type", "veth",
            "peer", "name", "veth0", "address", FAR_MAC, "netns", h)
        run("ip", "-n", g, "-batch", "-", data=f"""
address add 172.18.0.2/16 dev eth0
address add fd00:18::2/64 dev eth0 nodad
link set lo up
link set eth0 up
route add default via {LAN}
route add default via {LAN6}
neighbour replace {LAN} lladdr {FAR_MAC} dev eth0 nud permanent
neighbour replace {LAN6} lladdr {FAR_MAC} dev eth0 nud permanent
""")
        run("ip", "-n", h, "-batch", "-", data=f"""
address add {LAN}/16 dev veth0
address add {LAN6}/64 dev veth0 nodad
address add {PUBLIC}/32 dev lo
address add {PUBLIC6}/128 dev lo
link set lo up
link set veth0 up
neighbour replace 172.18.0.2 lladdr {OWN_MAC} dev veth0 nud permanent
neighbour replace fd00:18::2 lladdr {OWN_MAC} dev veth0 nud permanent
""")
        self.rows.append(row)

    def start(self, command, output=subprocess.DEVNULL):
        """What stays until the bed ends. It ends with us, too, however we end."""
        process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *map(str, command)],
                                   stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                   env=dict(os.environ, LOG_LEVEL="error"))
        self.processes.append(process)
        return process

    def attach(self, row, *options):
        run(self.command, "attach", "--pin-dir", PIN_DIR, "--netns", self.guarded(row), "--name", row,
            "--endpoint", ENDPOINT, *options)
        if row not in self.guards:
            self.guards.append(row)

    def attach_held(self, row, *options):
        """With the layer `netns`, which lives as long as its process."""
        log = open(f"/tmp/eg-bench-{os.getpid()}-{row}.log", "w+", encoding="utf-8")
        os.unlink(log.name)
        process = self.start([self.command, "attach", "--pin-dir", PIN_DIR, "--netns",
                              self.guarded(row), "--name", row, "--endpoint", ENDPOINT, "--foreground",
                              *options], log)
        self.guards.append(row)

        def holds():
            if process.poll() is not None:
                log.seek(0)
                raise BenchError(f"attach --foreground ended: {log.read().strip()}")
            return self.layers(row).get("netns") == "attached"

        wait_until(20, holds, f"the layer `netns` of {row}")
        return process

    def layers(self, row):
        done = run(self.command, "status", row, "--pin-dir", PIN_DIR, "--json", check=False)
        guards = json.loads(done.stdout)["guards"] if done.stdout else []
        if not guards:
            return {}
        return {layer["name"]: layer["state"] for layer in guards[0]["layers"]}

    def counted(self, row):
        """The guard's counters, as `status --json` has them."""
        done = run(self.command, "status", row, "--pin-dir", PIN_DIR, "--json", check=False)
        return json.loads(done.stdout)["guards"][0]["counters"]

    def detach(self, row):
        run(self.command, "detach", row, "--pin-dir", PIN_DIR)
        self.guards.remove(row)

    def drop_links(self, row, layer):
        """A link goes with its pin: what is left is the other layers alone."""
        links = list(pathlib.Path(PIN_DIR, row).glob(f"link_{layer}*"))
        if not links:
            raise BenchError(f"the guard {row} has no link of {layer}: is there no tcx?")
        for link in links:
            link.unlink()

    def help(self, *command):
        self.helpers.append(Helper(*command))
        return self.helpers[-1]

    def empty(self, *hooks):
        return self.help(self.build / "bench/empties", *hooks)

    def sink(self, cpu, rows=None):
        return self.help(self.build / "bench/pace", "sink", "--cpu", cpu, "--port", PORT,
                         *(self.far(row) for row in rows or self.rows))

    def received(self, row):
        """Datagrams that came to the far end's socket."""
        total = 0
        for table in ("udp", "udp6"):
            text = run(*inside(self.far(row), "cat", f"/proc/net/{table}")).stdout
            for line in text.splitlines()[1:]:
                fields = line.split()
                if int(fields[1].rsplit(":", 1)[1], 16) == PORT:
                    total += int(fields[-1])
        return total

    def pace(self, kind, rows, **options):
        words = [self.build / "bench/pace", kind, "--cpu", processors()[0], "--port", PORT]
        for name, value in options.items():
            words += [f"--{name}", value]
        done = run(*words, *(f"{row}={self.guarded(row)}" for row in rows))
        return json.loads(done.stdout)

    def close(self):
        for process in self.processes:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()
        for helper in self.helpers:
            helper.close()
        for guard in list(self.guards):
            run(self.command, "detach", guard, "--pin-dir", PIN_DIR, check=False)
        for row in self.rows:
            run("ip", "netns", "delete", self.guarded(row), check=False)
            run("ip", "netns", "delete", self.far(row), check=False)
        self.__init__(self.build)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
