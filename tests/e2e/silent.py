#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A userspace WireGuard that is asked and never answers.

usage: silent.py LOG

Makes a tun `wg0` in its network namespace, listens where a userspace WireGuard does, takes every
connection, and says nothing. LOG gets a line for each. To be run in a mount namespace of its own.
"""

import fcntl
import os
import socket
import struct
import subprocess
import sys

TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x1001
SOCKET = "/run/wireguard/wg0.sock"

subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run/wireguard"], check=True)
tun = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"wg0", IFF_TUN_NO_PI))
subprocess.run(["ip", "link", "set", "wg0", "up"], check=True)
listener = socket.socket(socket.AF_UNIX)
listener.bind(SOCKET)
listener.listen(64)
kept = []
with open(sys.argv[1], "w", buffering=1, encoding="ascii") as log:
    while True:
        log.write("asked\n")
        kept = kept[-64:] + [listener.accept()[0]]
