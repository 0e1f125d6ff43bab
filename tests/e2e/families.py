#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Sends by sockets of other families than IPv4 and IPv6, for which the kernel sends IP packets.

usage: families.py pppol2tp|rxrpc|rds|smc SOURCE DESTINATION [SECONDS]

None of it takes a privilege. With SECONDS it goes on to send for that time. Exit status 77: this
kernel has no such sockets.
"""

import ctypes
import errno
import os
import socket
import struct
import sys
import time

PPPOX, RDS, RXRPC, SMC = 24, 21, 33, 43
PX_PROTO_OL2TP = 1
SOL_RXRPC, RXRPC_USER_CALL_ID = 272, 1
TEXT = b"out of sight " * 4

libc = ctypes.CDLL(None, use_errno=True)


def checked(result, what):
    if result < 0:
        sys.exit(f"families.py: {what}: {os.strerror(ctypes.get_errno())}")
    return result


def open_socket(family, kind, protocol):
    fd = libc.socket(family, kind, protocol)
    if fd < 0 and ctypes.get_errno() in (errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT,
                                         errno.ESOCKTNOSUPPORT):
        print(os.strerror(ctypes.get_errno()))
        sys.exit(77)
    return checked(fd, "socket")


def inet(address, port):
    return struct.pack("=H", socket.AF_INET) + struct.pack("!H4s8x", port, socket.inet_aton(address))


def session(fd, destination, number):
    """An L2TP session over the UDP socket `fd`; number 0 is the tunnel's own."""
    pppox = open_socket(PPPOX, socket.SOCK_DGRAM, PX_PROTO_OL2TP)
    name = struct.pack("=HIii", PPPOX, PX_PROTO_OL2TP, 0, fd) + inet(destination, 1701)
    name += struct.pack("=HHHH", 1, number, 1, number)
    checked(libc.connect(pppox, name, len(name)), "connect")
    return pppox


def pppol2tp(source, destination, again):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind((source, 1701))
        udp.connect((destination, 1701))
        tunnel = session(udp.fileno(), destination, 0)
        pppox = session(udp.fileno(), destination, 1)
        for _ in again():
            checked(libc.send(pppox, b"\xff\x03" + TEXT, len(TEXT) + 2, 0), "send")
        os.close(pppox)
        os.close(tunnel)


class IoVec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_char_p), ("len", ctypes.c_size_t)]


class MsgHdr(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("namelen", ctypes.c_uint32),
                ("iov", ctypes.POINTER(IoVec)), ("iovlen", ctypes.c_size_t),
                ("control", ctypes.c_char_p), ("controllen", ctypes.c_size_t),
                ("flags", ctypes.c_int)]


def rxrpc(_, destination, again):
    fd = open_socket(RXRPC, socket.SOCK_DGRAM, socket.AF_INET)
    name = struct.pack("=HHHH", RXRPC, 1, socket.SOCK_DGRAM, 16) + inet(destination, 7001) + bytes(12)
    vector = IoVec(TEXT, len(TEXT))
    for call in again():
        control = struct.pack("=QiiQ", 24, SOL_RXRPC, RXRPC_USER_CALL_ID, call)
        message = MsgHdr(name, len(name), ctypes.pointer(vector), 1, control, len(control), 0)
        if libc.sendmsg(fd, ctypes.byref(message), 0) < 0:  # nobody answers there
            print(os.strerror(ctypes.get_errno()))
    time.sleep(0.3)
    os.close(fd)


def rds(source, destination, again):
    fd = open_socket(RDS, socket.SOCK_SEQPACKET, 0)
    name = inet(source, 4000)
    checked(libc.bind(fd, name, len(name)), "bind")
    name = inet(destination, 4000)
    for _ in again():
        checked(libc.sendto(fd, TEXT, len(TEXT), 0, name, len(name)), "sendto")
    time.sleep(0.5)
    os.close(fd)


def smc(_, destination, again):
    for _ in again():
        fd = open_socket(SMC, socket.SOCK_STREAM, 0)
        libc.fcntl(fd, 4, os.O_NONBLOCK)
        name = inet(destination, 443)
        libc.connect(fd, name, len(name))
        time.sleep(0.2)
        os.close(fd)


def main(way, source, destination, seconds="0"):
    end = time.monotonic() + float(seconds)

    def again():
        for number in range(1, 1000000):
            yield number
            if time.monotonic() >= end:
                return
            time.sleep(0.05)

    {"pppol2tp": pppol2tp, "rxrpc": rxrpc, "rds": rds, "smc": smc}[way](source, destination, again)


if __name__ == "__main__":
    main(*sys.argv[1:])
