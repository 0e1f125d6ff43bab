#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What happens to bpf(2) around a guard.

usage: bpf.py without ERRNO COMMAND...
       bpf.py in-front INTERFACE egress|ingress READY-FILE
       bpf.py hold PIN READY-FILE
       bpf.py forge PROGRAM-PIN [LINK-PIN INTERFACE egress|ingress]
       bpf.py connect4-at CGROUP-DIRECTORY PROGRAM-PIN LINK-PIN

`without` runs a command for which bpf(2) fails with ENOSYS, as on a kernel that lacks it, or with
EPERM, as in a container that forbids it. `in-front` puts a program that passes everything before all
others of an interface (tcx), makes READY-FILE, and holds it there until it is killed. `hold` opens
what is pinned, removes the pin, makes READY-FILE, and keeps it open until it is killed. `forge` puts
a program that passes everything in the place of a pinned one, and a link of it on an interface (tcx)
in the place of a pinned one. `connect4-at` puts a link of a pinned program at a cgroup in the place of
a pinned one.
"""

import ctypes
import errno
import os
import pathlib
import platform
import resource
import signal
import socket
import struct
import sys

NUMBER = {"x86_64": 321, "aarch64": 280}
libc = ctypes.CDLL(None, use_errno=True)
try:  # before Linux 5.11 programs and maps count as locked memory
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
except (OSError, ValueError):
    pass


def number():
    if platform.machine() not in NUMBER:
        sys.exit(f"bpf.py: what is bpf(2)'s number on {platform.machine()}?")
    return NUMBER[platform.machine()]


# --- without -----------------------------------------------------------------------------------------

PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38
SECCOMP_MODE_FILTER = 2
SECCOMP_RET_ERRNO = 0x00050000
SECCOMP_RET_ALLOW = 0x7FFF0000
LOAD_WORD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06


def without(name, *command):
    program = b"".join(struct.pack("HBBI", *instruction) for instruction in (
        (LOAD_WORD, 0, 0, 0),
        (JUMP_IF_EQUAL, 0, 1, number()),
        (RETURN, 0, 0, SECCOMP_RET_ERRNO | getattr(errno, name)),
        (RETURN, 0, 0, SECCOMP_RET_ALLOW),
    ))
    buffer = ctypes.create_string_buffer(program, len(program))
    fprog = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(buffer)))
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
            PR_SET_SECCOMP, SECCOMP_MODE_FILTER, fprog, 0, 0):
        sys.exit(f"bpf.py: prctl: {os.strerror(ctypes.get_errno())}")
    os.execvp(command[0], command)


# --- in front ------------------------------------------------------------------------------------------

PROG_LOAD, OBJ_PIN, OBJ_GET, LINK_CREATE = 5, 6, 7, 28
SCHED_CLS = 3
TCX = {"ingress": 46, "egress": 47}
BEFORE = 1 << 3
CGROUP_INET4_CONNECT = 10


def bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    result = libc.syscall(number(), command, buffer, len(attributes))
    if result < 0:
        sys.exit(f"bpf.py: bpf({command}): {os.strerror(ctypes.get_errno())}")
    return result


def load_empty():
    # r0 = 0 (TCX_PASS); exit
    code = ctypes.create_string_buffer(bytes.fromhex("b700000000000000" "9500000000000000"), 16)
    license_name = ctypes.create_string_buffer(b"GPL")
    return bpf(PROG_LOAD, struct.pack(
        "IIQQIIQ", SCHED_CLS, 2, ctypes.addressof(code), ctypes.addressof(license_name), 0, 0, 0))


def put_first(program, interface, direction):
    index = socket.if_nametoindex(interface)
    return bpf(LINK_CREATE, struct.pack("IIIIIIQ", program, index, TCX[direction], BEFORE, 0, 0, 0))


def get(pin):
    path = ctypes.create_string_buffer(os.fsencode(pin))
    return bpf(OBJ_GET, struct.pack("QII", ctypes.addressof(path), 0, 0))


def pin_instead(fd, pin):
    path = ctypes.create_string_buffer(os.fsencode(pin))
    os.unlink(pin)
    bpf(OBJ_PIN, struct.pack("QII", ctypes.addressof(path), fd, 0))


def in_front(interface, direction, ready):
    put_first(load_empty(), interface, direction)
    pathlib.Path(ready).touch()
    signal.pause()


def forge(program_pin, link_pin=None, interface=None, direction=None):
    program = load_empty()
    pin_instead(program, program_pin)
    if link_pin:
        pin_instead(put_first(program, interface, direction), link_pin)


def connect4_at(cgroup, program_pin, link_pin):
    directory = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY)
    link = bpf(LINK_CREATE, struct.pack("IIII", get(program_pin), directory, CGROUP_INET4_CONNECT, 0))
    pin_instead(link, link_pin)


def hold(pin, ready):
    get(pin)
    os.unlink(pin)
    pathlib.Path(ready).touch()
    signal.pause()


if __name__ == "__main__":
    {"without": without, "in-front": in_front, "hold": hold, "forge": forge,
     "connect4-at": connect4_at}[sys.argv[1]](*sys.argv[2:])
