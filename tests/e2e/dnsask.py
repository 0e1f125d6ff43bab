#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Asks Docker's resolver, in the namespace that this is run in.

usage: dnsask.py WAY NAME

WAY is udp, tcp (through Docker's address translation, port 53), port (the port on which the resolver
really listens), raw (an IP header of our own, to that port), packet (a packet socket on lo, to that
port) or vlan (the same with a priority tag, which the receiving side takes off). Prints `answer CODE`
or `no answer`; of raw, packet and vlan, whose answers go nowhere, `sent`.
"""

import socket
import struct
import sys

RESOLVER = "127.0.0.11"
SECONDS = 1.5


def query(name):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!HHHHHH", 0x4547, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", 1, 1)


def real_port():
    """Where a UDP socket is bound to the resolver's address."""
    wanted = "%08X" % struct.unpack("=I", socket.inet_aton(RESOLVER))[0]
    with open("/proc/thread-self/net/udp", encoding="ascii") as lines:
        for line in lines:
            address, _, port = line.split()[1].partition(":")
            if address == wanted:
                return int(port, 16)
    sys.exit("dnsask.py: nobody listens on " + RESOLVER)


def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


def ip_packet(payload, port):
    udp = struct.pack("!HHHH", 40123, port, 8 + len(payload), 0) + payload
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0,
                         socket.inet_aton("127.0.0.1"), socket.inet_aton(RESOLVER))
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + udp


def told(answer):
    print(f"answer {answer[3] & 15}" if len(answer) > 3 else "no answer")


def by_udp(message, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(SECONDS)
        sock.connect((RESOLVER, port))
        sock.send(message)
        told(sock.recv(512))


def by_tcp(message):
    with socket.create_connection((RESOLVER, 53), SECONDS) as sock:
        sock.sendall(struct.pack("!H", len(message)) + message)
        told(sock.recv(512)[2:])


def by_raw(message):
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as sock:
        sock.sendto(ip_packet(message, real_port()), (RESOLVER, 0))
    print("sent")


def by_packet(message, tag):
    ethernet = bytes(12) + (b"\x81\x00\x00\x00" if tag else b"") + b"\x08\x00"
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind(("lo", 0x0800))
        sock.send(ethernet + ip_packet(message, real_port()))
    print("sent")


def main(way, name):
    message = query(name)
    ways = {
        "udp": lambda: by_udp(message, 53),
        "tcp": lambda: by_tcp(message),
        "port": lambda: by_udp(message, real_port()),
        "raw": lambda: by_raw(message),
        "packet": lambda: by_packet(message, False),
        "vlan": lambda: by_packet(message, True),
    }
    try:
        ways[way]()
    except OSError:
        print("no answer")


if __name__ == "__main__":
    main(*sys.argv[1:3])
