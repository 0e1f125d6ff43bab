#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Root inside, who gives an interface's index to another one while egressguard asks about the tunnel.

usage: swap.py ORDERS LOG

Runs in a network namespace of its own user namespace that has `eth0` and a vxlan `vx`. It makes a
tun `wg0`, answers for it as a userspace WireGuard does, and does with each question what the file
ORDERS says at that moment:

  calm       answers
  aside MS   puts `vx` in eth0's place, by its index, answers, and MS milliseconds later puts eth0
             back
  later MS   the same, but not with the first question from now on
  tunnel K   with the K-th question from now on: gives wg0's index to eth0, and makes wg0 anew

LOG gets a line for each question, and for what was done.
"""

import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import sys
import time

TUNSETIFF, TUNSETIFINDEX = 0x400454CA, 0x400454DA
IFF_TUN_NO_PI = 0x1001
RTM_NEWLINK, NLM_F_REQUEST_ACK = 16, 5
IFLA_NET_NS_FD, IFLA_NEW_IFINDEX = 28, 49
CLONE_NEWNET = 0x40000000
TUN_INDEX, ELSEWHERE = 77, 90
SOCKET = "/var/run/wireguard/wg0.sock"
ANSWER = b"listen_port=51821\nerrno=0\n\n"

libc = ctypes.CDLL(None, use_errno=True)
orders_path, log = sys.argv[1], open(sys.argv[2], "w", buffering=1)


def say(text):
    log.write(text + "\n")


def tun(index):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    fcntl.ioctl(fd, TUNSETIFINDEX, struct.pack("I", index))
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", b"wg0", IFF_TUN_NO_PI))
    subprocess.run(["ip", "link", "set", "wg0", "up"], check=True)
    return fd


def attribute(kind, data):
    return struct.pack("HH", 4 + len(data), kind) + data


class Namespace:
    """A network namespace, by a descriptor, and a netlink socket that was made in it."""

    def __init__(self, fd):
        self.fd = fd
        libc.setns(fd, CLONE_NEWNET)
        self.netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        self.netlink.bind((0, 0))

    def give(self, index, to, new_index):
        """Moves one of its interfaces to another namespace, under another index. 0 or -errno."""
        body = struct.pack("BxHiII", 0, 0, index, 0, 0)
        body += attribute(IFLA_NET_NS_FD, struct.pack("I", to.fd))
        body += attribute(IFLA_NEW_IFINDEX, struct.pack("i", new_index))
        header = struct.pack("IHHII", 16 + len(body), RTM_NEWLINK, NLM_F_REQUEST_ACK, 1, 0)
        self.netlink.send(header + body)
        return struct.unpack_from("i", self.netlink.recv(4096), 16)[0]


def another_namespace():
    libc.unshare(CLONE_NEWNET)
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY)


mine = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
there = Namespace(another_namespace())
here = Namespace(mine)
VX = socket.if_nametoindex("vx")
say(f"vx aside: {here.give(VX, there, VX)}")
wg0, wg0_index = tun(TUN_INDEX), TUN_INDEX

os.makedirs(os.path.dirname(SOCKET), exist_ok=True)
if os.path.exists(SOCKET):
    os.unlink(SOCKET)
listener = socket.socket(socket.AF_UNIX)
listener.bind(SOCKET)
listener.listen(9)
say("ready")

last, asked = None, 0
while True:
    asker, _ = listener.accept()
    order = open(orders_path).read().split()
    asked = asked + 1 if order == last else 1
    last = order
    say(f"asked {asked} under {' '.join(order)}")
    asker.recv(100)
    done = []
    hides = order[0] == "aside" or (order[0] == "later" and asked > 1)
    eth0 = socket.if_nametoindex("eth0")
    if order[0] == "tunnel" and asked == int(order[1]):
        os.close(wg0)
        done = [here.give(eth0, there, ELSEWHERE), there.give(ELSEWHERE, here, wg0_index)]
        wg0_index += 1
        wg0 = tun(wg0_index)
    elif hides:
        done = [here.give(eth0, there, ELSEWHERE), there.give(VX, here, eth0)]
    try:
        asker.sendall(ANSWER)
    except OSError:
        pass
    asker.close()
    if hides:
        time.sleep(int(order[1]) / 1000)
        done += [here.give(eth0, there, VX), there.give(ELSEWHERE, here, eth0)]
    if done:
        say(f"swapped: {done}" if not any(done) else f"could not swap: {done}")
