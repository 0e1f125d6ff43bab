#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Feeds UDP datagrams of one flow to a tun device, so that the kernel chains them (fraglist GRO).

usage: chained.py DEVICE SOURCE DESTINATION [CHAINS]

The device is made, with rx-gro-list on, up, and gone at the end. Eight datagrams for each chain are
written in one go; the kernel chains those that come within one jiffy. Needs a /sys of the network
namespace's own.
"""

import fcntl
import os
import socket
import struct
import subprocess
import sys
import time

PER_CHAIN = 8
PAYLOAD = b"x" * 100


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def datagram(source, destination, number):
    length = 8 + len(PAYLOAD)
    ports = struct.pack("!HHH", 5000, 5001, length)
    if ":" in source:
        pair = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, destination)
        header = struct.pack("!IHBB", 0x60000000, length, 17, 64) + pair
    else:
        pair = socket.inet_aton(source) + socket.inet_aton(destination)
        start = struct.pack("!BBHHHBB", 0x45, 0, 20 + length, number, 0, 64, 17)
        header = start + struct.pack("!H", checksum(start + b"\0\0" + pair)) + pair
    pseudo = pair + struct.pack("!HH", length, 17)
    return header + ports + struct.pack("!H", checksum(pseudo + ports + b"\0\0" + PAYLOAD)) + PAYLOAD


def main():
    device, source, destination = sys.argv[1:4]
    chains = int(sys.argv[4]) if len(sys.argv) > 4 else 5
    tun = os.open("/dev/net/tun", os.O_RDWR)
    # IFF_TUN, IFF_NAPI, IFF_NO_PI
    fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH22x", device.encode(), 0x1011))
    subprocess.run(["ethtool", "-K", device, "gro", "on", "rx-gro-list", "on"], check=True)
    subprocess.run(["ip", "link", "set", device, "up"], check=True)
    # What is held back is not passed on at the end of each write.
    with open(f"/sys/class/net/{device}/gro_flush_timeout", "w", encoding="ascii") as file:
        file.write("30000000")
    time.sleep(0.3)
    for chain in range(chains):
        datagrams = [datagram(source, destination, chain * PER_CHAIN + i) for i in range(PER_CHAIN)]
        for data in datagrams:
            os.write(tun, data)
        time.sleep(0.1)
    time.sleep(0.3)


main()
