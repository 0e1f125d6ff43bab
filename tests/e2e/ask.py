#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Asks a resolver a question, in the namespace that this is run in.

usage: ask.py RESOLVER NAME [A|AAAA|TXT] [opt] [cookie] [more] [two] [tcp]

opt adds an empty OPT record, cookie one with an option, more a byte after the question, two a second
question; tcp asks by TCP. Exits 0 and prints the addresses if an answer came, 1 if none did.
"""

import ipaddress
import socket
import struct
import sys

TYPES = {"A": 1, "AAAA": 28, "TXT": 16}
SECONDS = 0.7


def question(name, kind):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return labels + b"\0" + struct.pack("!HH", TYPES[kind], 1)


def message(name, kind, flags):
    asked = question(name, kind)
    records = int("opt" in flags or "cookie" in flags)
    out = struct.pack("!HHHHHH", 0x4547, 0x0100, 1 + ("two" in flags), 0, 0, records) + asked
    if "two" in flags:
        out += asked
    if "opt" in flags:
        out += struct.pack("!BHHIH", 0, 41, 1232, 0, 0)
    if "cookie" in flags:
        out += struct.pack("!BHHIHHH", 0, 41, 1232, 0, 12, 10, 8) + b"12345678"
    return out + (b"x" if "more" in flags else b"")


def addresses(answer):
    at = answer.index(b"\0", 12) + 5
    for _ in range(struct.unpack("!H", answer[6:8])[0]):
        while answer[at] and answer[at] < 0xC0:
            at += 1 + answer[at]
        at += 2 if answer[at] else 1
        kind, _, _, length = struct.unpack("!HHIH", answer[at:at + 10])
        if kind in (1, 28):
            yield str(ipaddress.ip_address(answer[at + 10:at + 10 + length]))
        at += 10 + length


def main(resolver, name, *flags):
    kind = next((flag for flag in flags if flag in TYPES), "A")
    family = socket.AF_INET6 if ":" in resolver else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM if "tcp" in flags else socket.SOCK_DGRAM) as sock:
        sock.settimeout(SECONDS)
        try:
            sock.connect((resolver, 53))
            sock.send(message(name, kind, flags))
            print(*addresses(sock.recv(4096)))
        except OSError as error:
            sys.exit(f"ask.py: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
