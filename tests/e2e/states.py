#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Reads tests/e2e/states.table, plans a walk through it, and judges what the captures saw on the way.

usage: states.py walk TABLE [short]
       states.py judge DIRECTORY TABLE

walk prints `FROM EVENT TO`, a line for each step, so that each event of the table is taken.

judge reads what test_states.sh has left in DIRECTORY: phases, families, inside.records,
outside.records, internet.pcap, host.pcap. It prints PASS and FAIL lines, from which
scripts/states-doc.py makes the documentation.
"""

import bisect
import collections
import ipaddress
import re
import struct
import subprocess
import sys

State = collections.namedtuple("State", "name leaves tunnel endpoint status wg0 text")
Event = collections.namedtuple("Event", "origin name target short text")


# --- the table -----------------------------------------------------------------------------------


class Table:
    def __init__(self, path):
        self.states, self.events = {}, []
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                self.read(line, f"{path}:{number}")
        for event in self.events:
            for name in (event.origin, event.target):
                if name not in self.states:
                    raise SystemExit(f"{path}: event {event.name}: no state is called '{name}'")
        lost = set(self.states) - {self.start} - {event.target for event in self.events}
        if lost:
            raise SystemExit(f"{path}: nothing leads to {', '.join(sorted(lost))}")

    def read(self, line, where):
        kind = line.split(None, 1)[0] if line.strip() else "#"
        if kind.startswith("#"):
            return
        fields = line.split(None, 7 if kind == "state" else 5)[1:]
        try:
            fields[-1] = fields[-1].strip()
            if kind == "state":
                state = State(*fields)
                if state.name in self.states or state.leaves not in ("open", "guarded", "nobody"):
                    raise ValueError
                self.states[state.name] = state
            elif kind == "event":
                event = Event(*fields)
                if event.short not in ("short", "-"):
                    raise ValueError
                self.events.append(event)
            else:
                raise ValueError
        except (ValueError, TypeError, IndexError):
            raise SystemExit(f"{where}: not a line of a state table: {line.strip()}") from None

    @property
    def start(self):
        return next(iter(self.states))

    def way(self, here, wanted, events):
        """The shortest way from a state to one of the wanted events, with it."""
        queue, seen = collections.deque([(here, [])]), {here}
        while queue:
            state, way = queue.popleft()
            for event in events:
                if event.origin != state:
                    continue
                if event in wanted:
                    return way + [event]
                if event.target not in seen:
                    seen.add(event.target)
                    queue.append((event.target, way + [event]))
        raise SystemExit(f"no way from {here} to {wanted[0].origin}, where {wanted[0].name} happens")

    def walk(self, short):
        events = [event for event in self.events if event.short == "short" or not short]
        wanted, here = list(events), self.start
        while wanted:
            for event in self.way(here, wanted, events):
                if event in wanted:
                    wanted.remove(event)
                here = event.target
                yield event


# --- packets -------------------------------------------------------------------------------------

ARP, VLAN, QINQ, IPV4, IPV6, MARKER = 0x0806, 0x8100, 0x88A8, 0x0800, 0x86DD, 0x88B5
ICMP, IGMP, TCP, UDP, ICMPV6 = 1, 2, 6, 17, 58
WIREGUARD_PORT = 51820
WIREGUARD_SIZES = {1: 148, 2: 92, 3: 64}
HOST = {ipaddress.ip_address(text).packed for text in
        ("172.18.0.1", "198.51.100.2", "fd00:18::1", "2001:db8:100::2")}



class Addresses(dict):
    """As text; asked for the same few, over and over."""

    def __missing__(self, packed):
        text = self[packed] = str(ipaddress.ip_address(packed))
        return text


ADDRESSES = Addresses()
Packet = collections.namedtuple("Packet", "time where number kind tag to")


def is_lan(address):
    if len(address) == 16:
        return address[0] & 0xFE == 0xFC
    return (address[0] == 10 or address[0] == 172 and address[1] & 0xF0 == 16 or
            address[0] == 192 and address[1] == 168)


class Frame:
    """What is to be known of one: kind is `control`, `lan`, `wireguard`, `host` or `clear`."""

    def __init__(self, data, tags):
        self.tags, self.tag, self.to = tags, None, None
        offset = 12
        kind = struct.unpack_from(">H", data, offset)[0]
        while kind in (VLAN, QINQ):
            offset += 4
            kind = struct.unpack_from(">H", data, offset)[0]
        self.tagged, self.ethertype, rest = offset > 12, kind, data[offset + 2:]
        self.src = self.dst = self.protocol = None
        self.later = False
        self.hops = 0
        if kind == IPV4:
            self.ipv4(rest)
        elif kind == IPV6:
            self.ipv6(rest)
        else:
            self.payload = rest
        self.kind = self.judge()
        if self.kind == "clear":
            self.tag = self.find_tag()
        self.to = ADDRESSES[self.dst] if self.dst else f"ethertype {kind:#06x}"

    def ipv4(self, data):
        length, fragment, hops, protocol = (
            struct.unpack_from(">HxxH", data, 2) + struct.unpack_from("BB", data, 8))
        self.src, self.dst = data[12:16], data[16:20]
        self.protocol, self.hops, self.later = protocol, hops, fragment & 0x1FFF != 0
        self.length = length - (data[0] & 15) * 4
        self.payload = data[(data[0] & 15) * 4:length]

    def ipv6(self, data):
        length, protocol, self.hops = struct.unpack_from(">HBB", data, 4)
        self.src, self.dst = data[8:24], data[24:40]
        payload = data[40:40 + length]
        while protocol in (0, 43, 44, 60):
            if protocol == 44:
                self.later = struct.unpack_from(">H", payload, 2)[0] & 0xFFF8 != 0
                size = 8
            else:
                size = payload[1] * 8 + 8
            protocol, payload, length = payload[0], payload[size:], length - size
        self.protocol, self.payload, self.length = protocol, payload, length

    def is_wireguard(self):
        if self.protocol != UDP or self.later or len(self.payload) < 12:
            return False
        port, kind = struct.unpack_from(">H", self.payload, 2)[0], self.payload[8:12]
        size = self.length - 8
        return (port == WIREGUARD_PORT and kind[1:] == b"\0\0\0" and
                (WIREGUARD_SIZES.get(kind[0]) == size or kind[0] == 4 and size >= 32))

    def judge(self):
        if self.tagged or self.dst is None:
            return "control" if self.ethertype in (ARP, MARKER) else "clear"
        first = self.payload[0] if self.payload else None
        if self.protocol == ICMPV6 and not self.later and (
                first in (133, 134, 135, 136) and self.hops == 255 or first == 143):
            return "control"
        if self.protocol == IGMP and self.hops == 1:
            return "control"
        if is_lan(self.dst):
            return "lan"
        # Of the host's own: that what came for the namespace cannot be delivered.
        if self.src in HOST and not self.later and (
                self.protocol == ICMP and first in (3, 11) or
                self.protocol == ICMPV6 and first in (1, 3)):
            return "host"
        return "wireguard" if self.is_wireguard() else "clear"

    def find_tag(self):
        found = []
        payload = self.payload
        if self.protocol in (TCP, UDP) and not self.later and len(payload) >= 4:
            found += struct.unpack_from(">HH", payload)
        if self.protocol in (ICMP, ICMPV6) and not self.later and len(payload) >= 8:
            if payload[0] in (0, 8, 128, 129):
                found.append(struct.unpack_from(">H", payload, 4)[0])
            else:  # an error: what it is about
                inner = payload[8:]
                size = (inner[0] & 15) * 4 if self.protocol == ICMP else 40
                if len(inner) >= size + 4:
                    found += reversed(struct.unpack_from(">HH", inner, size))
        if len(payload) >= 2:
            found.append(struct.unpack(">H", payload[-2:])[0])
        return next((tag for tag in found if tag in self.tags), None)


def read_capture(path, where, tags):
    with open(path, "rb") as file:
        data = file.read()
    magic = data[:4]
    order = "<" if magic in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    fraction = 1000 if magic in (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4") else 1
    header = struct.Struct(order + "IIII")
    offset, number = 24, 0
    while offset + 16 <= len(data):
        seconds, part, size, _ = header.unpack_from(data, offset)
        number += 1
        try:
            frame = Frame(data[offset + 16:offset + 16 + size], tags)
            found = frame.kind, frame.tag, frame.to
        except (struct.error, IndexError):
            found = "clear", None, "a packet that cannot be read"
        yield Packet(seconds * 10**9 + part * fraction, where, number, *found)
        offset += 16 + size


# --- the walk as it was ----------------------------------------------------------------------------

Phase = collections.namedtuple("Phase", "start kind origin event target")
Family = collections.namedtuple("Family", "name wanted")
RECORD = struct.Struct("=QHHI")
SENT, REFUSED, ANSWERED = range(3)


class Count:
    """What came together in a state or during an event."""

    def __init__(self):
        self.visits, self.wireguard, self.answers = 0, 0, 0
        self.sent, self.refused, self.clear = (collections.Counter() for _ in range(3))
        self.strange = []


class Walk:
    def __init__(self, directory, table):
        self.directory, self.table = directory, table
        self.phases, self.families = [], {}
        with open(f"{directory}/phases", encoding="utf-8") as file:
            for line in file:
                start, *rest = line.split()
                self.phases.append(Phase(int(start.replace(".", "")) * 1000, *rest))
        with open(f"{directory}/families", encoding="utf-8") as file:
            for line in file:
                tag, name, wanted = line.rstrip("\n").split("\t")
                self.families[int(tag)] = Family(name, wanted)
        self.starts = [phase.start for phase in self.phases]
        self.counts = collections.defaultdict(Count)
        for phase in self.phases:
            self.counts[self.key(phase)].visits += 1
        self.read_records("inside")
        self.read_records("outside")
        self.read_captures()

    @staticmethod
    def key(phase):
        if phase.kind == "state":
            return phase.target
        return phase.origin, phase.event, phase.target

    def phase_at(self, time):
        return self.phases[max(0, bisect.bisect_right(self.starts, time) - 1)]

    def read_records(self, side):
        with open(f"{self.directory}/{side}.records", "rb") as file:
            data = file.read()
        for time, tag, what, _ in RECORD.iter_unpack(data[:len(data) // RECORD.size * RECORD.size]):
            phase = self.phase_at(time)
            count = self.counts[self.key(phase)]
            if what == ANSWERED:
                if self.families[tag].wanted == "tunnel":
                    count.answers += 1
            elif self.families[tag].wanted != "lan":
                (count.sent if what == SENT else count.refused)[tag] += 1

    def may_go(self, phase):
        """Endpoints that WireGuard's packets may have."""
        ends = [self.table.states[phase.target]]
        if phase.kind == "event":
            ends.append(self.table.states[phase.origin])
        return {state.endpoint for state in ends}

    def read_captures(self):
        seen = collections.defaultdict(collections.Counter)
        for where in ("internet", "host"):
            for packet in read_capture(f"{self.directory}/{where}.pcap", where, self.families):
                if packet.kind in ("control", "lan", "host"):
                    continue
                phase = self.phase_at(packet.time)
                count = self.counts[self.key(phase)]
                if packet.kind == "wireguard" and {packet.to, "any"} & self.may_go(phase):
                    count.wireguard += where == "internet"
                    continue
                seen[self.key(phase)][packet.tag] += 1
                if len(count.strange) < 20 or packet.tag is None and len(count.strange) < 40:
                    count.strange.append(packet)
        for key, tags in seen.items():
            self.counts[key].clear.update(tags)


# --- judging -------------------------------------------------------------------------------------


class Judge:
    def __init__(self, walk):
        self.walk, self.table, self.failed = walk, walk.table, False

    def say(self, name, problems, good):
        if not problems:
            print(f"PASS {name}: {good}")
            return
        self.failed = True
        print(f"FAIL {name}: {'; '.join(problems)}")

    def family(self, tag):
        return self.walk.families[tag].name if tag in self.walk.families else "something unknown"

    def probes(self):
        return [tag for tag, family in self.walk.families.items() if family.wanted == "probe"]

    def clear(self, count):
        """Problems: what left although nothing may."""
        return [f"{packets} of {count.sent[tag]} of '{self.family(tag)}' left in the clear"
                for tag, packets in sorted(count.clear.items(), key=lambda item: str(item[0]))]

    def show(self, count):
        for packet in count.strange[:10]:
            lines = subprocess.run(
                ["tcpdump", "-n", "-e", "-tttt", "-r", f"{self.walk.directory}/{packet.where}.pcap",
                 "-c", str(packet.number)], capture_output=True, text=True, check=False)
            text = re.findall(r"^\d{4}-.*", lines.stdout, re.MULTILINE)
            print(f"  | at {packet.where}, {self.family(packet.tag)}: {text[-1] if text else ''}")

    def control(self):
        count = self.walk.counts[self.table.start]
        for tag in self.probes():
            problems = []
            if not count.clear[tag]:
                problems.append(f"{count.sent[tag]} sent, {count.refused[tag]} refused, none was seen "
                                "though nothing holds it back")
            self.say(f"control, {self.family(tag)}", problems,
                     f"{count.clear[tag]} of {count.sent[tag]} in the clear")

    def state(self, state, count):
        problems = []
        if state.leaves != "open":
            problems += self.clear(count)
        if state.leaves == "guarded":
            problems += [f"'{self.family(tag)}' was never sent" for tag in self.probes()
                         if not count.sent[tag]]
        if state.tunnel == "yes" and not count.wireguard:
            problems.append("no packet of WireGuard's was seen")
        if state.tunnel == "no" and count.answers:
            problems.append(f"{count.answers} answers came through a tunnel that does not carry")
        good = f"{sum(count.clear.values())} of {sum(count.sent.values())} in the clear"
        self.say(f"state {state.name}", problems, good)
        if problems:
            self.show(count)

    def event(self, event, count):
        ends = self.table.states[event.origin], self.table.states[event.target]
        problems = []
        if all(state.leaves != "open" for state in ends):
            problems = self.clear(count)
        if all(state.leaves != "nobody" for state in ends) and not sum(count.sent.values()):
            problems.append("nothing was sent meanwhile")
        good = f"{sum(count.clear.values())} of {sum(count.sent.values())} in the clear"
        self.say(f"event {event.origin}, {event.name}, {event.target}", problems, good)
        if problems:
            self.show(count)

    def all(self):
        counts = self.walk.counts
        self.control()
        for state in self.table.states.values():
            if counts[state.name].visits:
                self.state(state, counts[state.name])
        for event in self.table.events:
            key = event.origin, event.name, event.target
            if counts[key].visits:
                self.event(event, counts[key])


def main():
    match sys.argv[1:]:
        case ["walk", path, *rest]:
            for event in Table(path).walk(rest == ["short"]):
                print(event.origin, event.name, event.target)
        case ["judge", directory, path]:
            judge = Judge(Walk(directory, Table(path)))
            judge.all()
            return judge.failed
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
