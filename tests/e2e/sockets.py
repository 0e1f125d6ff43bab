#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Sockets that are made in one place and used in another.

usage: sockets.py hold NETNS         makes sockets in there, says `ready`, and does what it is told,
                                     a line each: `send ADDR:PORT`, `dial ADDR:PORT`, `comm NAME`,
                                     `cgroup DIRECTORY`, `leave NETNS`; says `done` or why not
       sockets.py give NETNS PATH    makes one in there and passes it on at a Unix socket
       sockets.py take PATH DST      sends by one that was passed on
       sockets.py storage MAP NETNS  whether MAP, a socket storage, knows a socket made in there
       sockets.py dials N DST IFACE  N connects of sockets bound to IFACE; how many were refused
       sockets.py rate SECONDS NETNS socket() + connect() and sendto() a second in there
"""

import ctypes
import errno
import os
import platform
import socket
import struct
import sys
import time

BPF = {"x86_64": 321, "aarch64": 280}
libc = ctypes.CDLL(None, use_errno=True)
SO_BINDTODEVICE = 25


def enter(netns):
    descriptor = os.open(f"/run/netns/{netns}", os.O_RDONLY)
    if libc.setns(descriptor, 0x40000000):
        sys.exit(f"sockets.py: setns: {os.strerror(ctypes.get_errno())}")
    os.close(descriptor)


def address(text):
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def hold(netns):
    enter(netns)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    print("ready", flush=True)
    for line in sys.stdin:
        verb, argument = line.split()
        try:
            if verb == "send":
                udp.sendto(b"x", address(argument))
            elif verb == "dial":
                udp.connect(address(argument))
            elif verb == "comm":
                with open("/proc/self/comm", "w", encoding="ascii") as comm:
                    comm.write(argument)
            elif verb == "cgroup":
                os.makedirs(argument, exist_ok=True)
                with open(f"{argument}/cgroup.procs", "w", encoding="ascii") as procs:
                    procs.write("0")
            elif verb == "leave":
                enter(argument)
            elif verb == "new":
                udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            print("done", flush=True)
        except OSError as error:
            print(error, flush=True)


def give(netns, path):
    back = os.open("/proc/self/ns/net", os.O_RDONLY)
    enter(netns)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    libc.setns(back, 0)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        taker, _ = listener.accept()
        socket.send_fds(taker, [b"x"], [udp.fileno()])
        taker.recv(1)


def take(path, destination):
    with socket.socket(socket.AF_UNIX) as giver:
        giver.connect(path)
        _, descriptors, _, _ = socket.recv_fds(giver, 1, 1)
        with socket.socket(fileno=descriptors[0]) as udp:
            udp.sendto(b"x", address(destination))


def bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes, 128)
    result = libc.syscall(BPF[platform.machine()], command, buffer, 128)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def storage(path, netns):
    name = ctypes.create_string_buffer(path.encode())
    descriptor = bpf(7, struct.pack("QII", ctypes.addressof(name), 0, 0))
    enter(netns)
    with socket.socket() as made:
        key = ctypes.create_string_buffer(struct.pack("i", made.fileno()))
        value = ctypes.create_string_buffer(32)
        try:
            bpf(1, struct.pack("IxxxxQQQ", descriptor, ctypes.addressof(key),
                               ctypes.addressof(value), 0))
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
            print("unknown")
        else:
            print(f"pid {struct.unpack('QII16s', value)[1]} of {os.getpid()}")


def dials(count, destination, interface):
    refused = 0
    for _ in range(int(count)):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, interface.encode() + b"\0")
            try:
                udp.connect(address(destination))
            except PermissionError:
                refused += 1
    print(refused)


def rate(seconds, netns):
    enter(netns)
    seconds = float(seconds)
    results = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        where = receiver.getsockname()

        def connects():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                udp.connect(where)

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for call in (connects, lambda: sender.sendto(b"x", where)):
                count, end = 0, time.monotonic() + seconds
                start = time.monotonic()
                while time.monotonic() < end:
                    for _ in range(64):
                        call()
                    count += 64
                results.append(count / (time.monotonic() - start))
    print(*(f"{result:.0f}" for result in results))


def main():
    commands = {"hold": hold, "give": give, "take": take, "storage": storage, "dials": dials,
                "rate": rate}
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[1]](*sys.argv[2:])


main()
