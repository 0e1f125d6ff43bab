#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Asks a kernel for answers that no process has to give, each millisecond, until it is ended.

usage: knock.py READY FROM TO [FROM TO]

An echo request, a TCP segment of a connection that is not there, and a datagram to a port that nobody has:
a kernel answers with an echo reply, a reset and an ICMP error. FROM is an address of this namespace, TO
another of the same family. The file READY is made when the first have been sent.
"""

import ipaddress
import itertools
import pathlib
import socket
import struct
import sys
import time

INTERVAL = 0.001
CLOSED = 40000


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Knock:
    def __init__(self, source, target):
        self.source, self.target = map(ipaddress.ip_address, (source, target))
        self.six = self.target.version == 6
        family = socket.AF_INET6 if self.six else socket.AF_INET
        icmp = socket.IPPROTO_ICMPV6 if self.six else socket.IPPROTO_ICMP
        self.echo = socket.socket(family, socket.SOCK_RAW, icmp)
        self.tcp = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_TCP)
        self.udp = socket.socket(family, socket.SOCK_DGRAM)
        for each in (self.echo, self.tcp, self.udp):
            each.bind((source, 0))

    def request(self, number):
        """The kernel writes ICMPv6's checksum itself (RFC 3542, 3.1)."""
        head = struct.pack("!BBHHH", 128 if self.six else 8, 0, 0, 7, number & 0xFFFF)
        return head if self.six else head[:2] + struct.pack("!H", checksum(head)) + head[4:]

    def segment(self):
        head = struct.pack("!HHIIBBHHH", 443, CLOSED, 1, 1, 0x50, 0x10, 1000, 0, 0)
        if self.six:
            pseudo = struct.pack("!16s16sIBBBB", self.source.packed, self.target.packed, len(head), 0, 0, 0, 6)
        else:
            pseudo = struct.pack("!4s4sBBH", self.source.packed, self.target.packed, 0, 6, len(head))
        return head[:16] + struct.pack("!H", checksum(pseudo + head)) + head[18:]

    def __call__(self, number):
        to = str(self.target)
        for each, what, port in (
            (self.echo, self.request(number), 0),
            (self.tcp, self.segment(), 0),
            (self.udp, b"", CLOSED),
        ):
            try:
                each.sendto(what, (to, port))
            except OSError:
                pass  # a router's word on one before: nobody has that address just now


def main(ready, *addresses):
    knocks = [Knock(*pair) for pair in zip(addresses[::2], addresses[1::2])]
    for number in itertools.count():
        for knock in knocks:
            knock(number)
        if number == 0:
            pathlib.Path(ready).touch()
        time.sleep(INTERVAL)


if __name__ == "__main__":
    main(*sys.argv[1:])
