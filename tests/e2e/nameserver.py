#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A resolver that knows a few names, over UDP.

usage: nameserver.py READY-FILE ADDRESS... -- [NAME=ADDRESS[,ADDRESS]]...

Answers A and AAAA of the names that it knows, by an alias on the way where the name begins with `alias`,
and NXDOMAIN for others. Prints a line for each question: TYPE NAME. On SIGHUP it reads READY-FILE.names,
if that is there, whose lines are NAME=ADDRESS[,ADDRESS] too. With forged=ADDRESS, each answer comes
after one that somebody forged who has guessed its number and its port, but not how the name's letters
were written: with this address, for the name in lower case.
"""

import ipaddress
import os
import select
import signal
import socket
import struct
import sys

KINDS = {1: 4, 28: 6}


def read_names(words):
    names = {}
    for word in words:
        name, _, addresses = word.partition("=")
        names[name.lower()] = [ipaddress.ip_address(text) for text in addresses.split(",") if text]
    return names


def encode(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def question(message):
    labels, at = [], 12
    while message[at]:
        labels.append(message[at + 1:at + 1 + message[at]].decode())
        at += 1 + message[at]
    return ".".join(labels), struct.unpack("!H", message[at + 1:at + 3])[0], message[12:at + 5]


def answer(message, names):
    name, kind, asked = question(message)
    print(kind, name, flush=True)
    addresses = names.get(name.lower())
    records, owner = [], b"\xc0\x0c"
    if addresses and name.startswith("alias"):
        owner = encode("real." + name)
        records.append(b"\xc0\x0c" + struct.pack("!HHIH", 5, 1, 60, len(owner)) + owner)
    for address in addresses or []:
        if KINDS.get(kind) == address.version:
            records.append(owner + struct.pack("!HHIH", kind, 1, 60, len(address.packed)) + address.packed)
    flags = 0x8180 if addresses is not None else 0x8183
    return message[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0) + asked + b"".join(records)


def forge(message, addresses):
    name, kind, asked = question(message)
    lower = encode(name.lower()) + asked[-4:]
    records = [b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(address.packed)) + address.packed
               for address in addresses if KINDS.get(kind) == address.version]
    return message[:2] + struct.pack("!HHHHH", 0x8180, 1, len(records), 0, 0) + lower + b"".join(records)


def main(arguments):
    ready, words = arguments[0], arguments[1:]
    split = words.index("--")
    names = read_names(words[split + 1:])
    sockets = []
    for address in words[:split]:
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((address, 53))
        sockets.append(sock)

    def read_again(*_):
        with open(ready + ".names", encoding="ascii") as lines:
            names.clear()
            names.update(read_names(lines.read().split()))

    signal.signal(signal.SIGHUP, read_again)
    with open(ready + ".new", "w", encoding="ascii"):
        pass
    os.rename(ready + ".new", ready)
    while True:
        for sock in select.select(sockets, [], [])[0]:
            message, peer = sock.recvfrom(4096)
            try:
                if "forged" in names:
                    sock.sendto(forge(message, names["forged"]), peer)
                sock.sendto(answer(message, names), peer)
            except (IndexError, struct.error, UnicodeDecodeError):
                pass


if __name__ == "__main__":
    main(sys.argv[1:])
