#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Tries to reach an address, and says how that fails and how fast.

answers.py tcp|udp|raw ADDRESS PORT [--mark N] [--source ADDRESS] [--timeout SECONDS]

Prints the error's name (OK, TIMEOUT) and the milliseconds it took. `udp` is connected, sends, and
waits; `raw` sends an ICMP destination-unreachable of its own, for which nothing may come back.

answers.py tun NAME FILE: makes a tun interface, sets it up, and appends a line to FILE for each
packet that leaves by it, until it is killed.
"""
import argparse
import errno
import fcntl
import os
import socket
import struct
import sys
import time


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def reach(arguments):
    kind = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}[arguments.way]
    with socket.socket(family_of(arguments.address), kind) as connection:
        connection.settimeout(arguments.timeout)
        if arguments.mark:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, arguments.mark)
        if arguments.source:
            connection.bind((arguments.source, 0))
        connection.connect((arguments.address, arguments.port))
        if arguments.way == "udp":
            connection.send(b"is anybody there?")
            connection.recv(100)


def attempt(arguments):
    start = time.monotonic()
    try:
        reach(arguments)
        result = "OK"
    except (TimeoutError, socket.timeout) as error:
        result = errno.errorcode[error.errno] if error.errno else "TIMEOUT"
    except OSError as error:
        result = errno.errorcode[error.errno]
    print(result, round((time.monotonic() - start) * 1000))


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def send_error(arguments):
    inner = struct.pack("!BBHHHBBH4s4sHHI", 0x45, 0, 28, 0, 0, 64, 17, 0,
                        socket.inet_aton(arguments.address), socket.inet_aton("172.18.0.2"),
                        53, 4000, 0)
    message = struct.pack("!BBHI", 3, 3, 0, 0) + inner
    message = message[:2] + struct.pack("!H", checksum(message)) + message[4:]
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        raw.sendto(message, (arguments.address, 0))


def tun(name, path):
    device = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(device, 0x400454CA, struct.pack("16sH22x", name.encode(), 0x1001))
    os.system(f"ip link set {name} up")
    with open(path, "a", encoding="ascii") as file:
        while True:
            file.write(os.read(device, 2000).hex() + "\n")
            file.flush()


def main():
    if sys.argv[1:2] == ["tun"]:
        return tun(*sys.argv[2:])
    parser = argparse.ArgumentParser()
    parser.add_argument("way", choices=("tcp", "udp", "raw"))
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("--mark", type=int)
    parser.add_argument("--source")
    parser.add_argument("--timeout", type=float, default=1.5)
    arguments = parser.parse_args()
    if arguments.way == "raw":
        return send_error(arguments)
    return attempt(arguments)


if __name__ == "__main__":
    main()
