#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Sends frames that no ordinary socket makes, from the bed's namespace `wireguard`.

usage: frames.py [--bypass | --xdp] KIND...

The addresses are those of tests/e2e/lib.sh. --bypass sends the next one past the qdisc, --xdp by an
AF_XDP socket. Exit status: 0 sent, 2 usage, 3 the kernel refused to send one.
"""

import ctypes
import errno
import fcntl
import ipaddress
import mmap
import os
import socket
import struct
import sys
import time

INTERFACE = "eth0"
HOST_MAC = bytes.fromhex("020000000001")
ME, ME6 = "172.18.0.2", "fd00:18::2"
HOST, HOST6 = "172.18.0.1", "fd00:18::1"
LAN = "192.168.1.10"
LAN6 = "fd00:1::10"
PUBLIC, PUBLIC6 = "203.0.113.7", "2001:db8:7::7"
ENDPOINT = "203.0.113.9"

SIOCGIFHWADDR = 0x8927
SOL_PACKET = 263
PACKET_VNET_HDR = 15
PACKET_QDISC_BYPASS = 20
VNET_NEEDS_CSUM = 1

AF_XDP = 44
SOL_XDP = 283
XDP_MMAP_OFFSETS, XDP_TX_RING, XDP_UMEM_REG, XDP_FILL_RING, XDP_COMPLETION_RING = 1, 3, 4, 5, 6
XDP_PGOFF_TX_RING = 0x80000000
XDP_COPY = 2
XDP_CHUNK, XDP_ENTRIES = 4096, 2

IPIP, UDP, IPV6, ROUTING, FRAGMENT, GRE, HOPOPTS, DSTOPTS = 4, 17, 41, 43, 44, 47, 0, 60


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def address(text):
    return ipaddress.ip_address(text).packed


def ipv4(dst, proto, payload, options=b"", frag=0, src=ME, ident=1):
    words = 5 + len(options) // 4
    header = struct.pack(
        ">BBHHHBBH4s4s", 0x40 | words, 0, words * 4 + len(payload), ident, frag, 64, proto, 0,
        address(src), address(dst),
    ) + options
    return header[:10] + struct.pack(">H", checksum(header)) + header[12:] + payload


def ipv6(dst, proto, payload, src=ME6):
    return struct.pack(">IHBB", 6 << 28, len(payload), proto, 64) + address(src) + address(dst) + payload


def udp(port, payload=b"x" * 32, sport=40000):
    return struct.pack(">HHHH", sport, port, 8 + len(payload), 0) + payload


def udp6(dst, port, payload=b"x" * 32, sport=40000):
    datagram = struct.pack(">HHHH", sport, port, 8 + len(payload), 0) + payload
    pseudo = address(ME6) + address(dst) + struct.pack(">IxxxB", len(datagram), UDP)
    return datagram[:6] + struct.pack(">H", checksum(pseudo + datagram)) + datagram[8:]


def ethernet(ethertype, payload, dst=HOST_MAC):
    # Not from /sys, which may be the view of another namespace.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("256s", INTERFACE.encode())
        source = fcntl.ioctl(any_socket, SIOCGIFHWADDR, request)[18:24]
    return dst + source + struct.pack(">H", ethertype) + payload


def vlan(*types, payload):
    """Tags of VLAN 5, of each type but the last, which is the payload's."""
    tags = b"".join(struct.pack(">HH", 5, kind) for kind in types[1:])
    return ethernet(types[0], tags + payload)


def loose_source_route(hop, dst, port):
    """What RFC 791 calls LSRR: sent to `hop`, which is to pass it on to `dst`."""
    option = struct.pack(">BBB4sx", 131, 7, 4, address(dst))
    return ipv4(hop, UDP, udp(port), options=option)


def checksum_over_destination():
    """An allowed destination that the pending checksum turns into PUBLIC: the kernel writes the sum
    of what follows over its upper half (bytes 30 and 31 of the frame)."""
    allowed = "192.168." + PUBLIC.split(".", 2)[2]
    packet = bytearray(ipv4(allowed, UDP, udp(7040)))
    final = ipv4(PUBLIC, UDP, udp(7040))
    packet[10:12] = final[10:12]  # right afterwards
    packet[-2:] = b"\0\0"
    wanted = struct.unpack(">H", address(PUBLIC)[:2])[0]
    # checksum(x + last) == wanted, in ones' complement
    last = (checksum(bytes(packet[16:])) - wanted) % 0xFFFF
    packet[-2:] = struct.pack(">H", last)
    assert checksum(bytes(packet[16:])) == wanted
    return ethernet(0x0800, bytes(packet)), (30, 0)


def checksum_over_type(kinds, start):
    """An ARP frame whose type the pending checksum turns into IPv4's."""
    packet = bytearray(ipv4(PUBLIC, UDP, udp(7041)))
    frame = bytearray(vlan(*kinds, payload=bytes(packet)) if len(kinds) > 1
                      else ethernet(kinds[0], bytes(packet)))
    frame[-2:] = b"\0\0"
    last = (checksum(bytes(frame[start:])) - 0x0800) % 0xFFFF
    frame[-2:] = struct.pack(">H", last)
    assert checksum(bytes(frame[start:])) == 0x0800
    return bytes(frame), (start, 0)


KINDS = {
    "public": lambda: ethernet(0x0800, ipv4(PUBLIC, UDP, udp(7020))),
    "source-route": lambda: ethernet(0x0800, loose_source_route(HOST, PUBLIC, 7021)),
    "routing-header": lambda: ethernet(0x86DD, ipv6(HOST6, ROUTING, struct.pack(
        ">BBBBI16s", UDP, 2, 0, 1, 0, address(PUBLIC6)) + udp6(HOST6, 7022))),
    "hop-by-hop": lambda: ethernet(0x86DD, ipv6(PUBLIC6, HOPOPTS, struct.pack(
        ">BBBB4x", UDP, 0, 1, 4) + udp6(PUBLIC6, 7023))),
    "destination-options": lambda: ethernet(0x86DD, ipv6(PUBLIC6, DSTOPTS, struct.pack(
        ">BBBB4x", UDP, 0, 1, 4) + udp6(PUBLIC6, 7052))),
    "public-fragment6": lambda: ethernet(0x86DD, ipv6(PUBLIC6, FRAGMENT, struct.pack(
        ">BBHI", UDP, 0, 16 << 3, 7) + b"x" * 64)),
    "public6": lambda: ethernet(0x86DD, ipv6(PUBLIC6, UDP, udp6(PUBLIC6, 7020))),
    "endpoint-fragment": lambda: ethernet(0x0800, ipv4(ENDPOINT, UDP, b"\4\0\0\0" + b"x" * 60, frag=8)),
    "public-fragment": lambda: ethernet(0x0800, ipv4(PUBLIC, UDP, b"x" * 64, frag=16)),
    "vlan": lambda: vlan(0x8100, 0x0800, payload=ipv4(PUBLIC, UDP, udp(7024))),
    "qinq": lambda: vlan(0x88A8, 0x8100, 0x0800, payload=ipv4(PUBLIC, UDP, udp(7025))),
    "three-tags": lambda: vlan(0x88A8, 0x8100, 0x8100, 0x0800, payload=ipv4(LAN, UDP, udp(7026))),
    "non-ip": lambda: ethernet(0x88B6, b"x" * 46),
    "ipip": lambda: ethernet(0x0800, ipv4(LAN, IPIP, ipv4(PUBLIC, UDP, udp(7027)))),
    "gre": lambda: ethernet(0x0800, ipv4(LAN, GRE, struct.pack(">HH", 0, 0x0800) +
                                         ipv4(PUBLIC, UDP, udp(7028)))),
    "6in6": lambda: ethernet(0x86DD, ipv6(LAN6, IPV6, ipv6(PUBLIC6, UDP, udp6(PUBLIC6, 7029)))),
    "truncated": lambda: ethernet(0x0800, ipv4(LAN, UDP, udp(7030)))[:14 + 24],
    "multicast": lambda: ethernet(0x0800, ipv4("239.1.1.1", UDP, udp(7031)),
                                  bytes.fromhex("01005e010101")),
    "multicast6": lambda: ethernet(0x86DD, ipv6("ff05::1:3", UDP, udp6("ff05::1:3", 7032)),
                                   bytes.fromhex("333300010003")),
    "broadcast": lambda: ethernet(0x0800, ipv4("255.255.255.255", UDP, udp(7033)), b"\xff" * 6),
}

CHECKSUM_KINDS = {
    "checksum-destination": checksum_over_destination,
    "checksum-arp": lambda: checksum_over_type((0x0806,), 12),
    "checksum-qinq-arp": lambda: checksum_over_type((0x88A8, 0x8100, 0x0806), 20),
}


def system_call(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def bind_to_queue(sender, libc):
    """The kernel lets go of a queue some time after its last socket was closed."""
    where = struct.pack("HHIII", AF_XDP, XDP_COPY, socket.if_nametoindex(INTERFACE), 0, 0)
    for _ in range(100):
        if libc.bind(sender.fileno(), where, len(where)) == 0 or ctypes.get_errno() != errno.EBUSY:
            break
        time.sleep(0.02)
    else:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))


def send_by_xdp(frame):
    libc = ctypes.CDLL(None, use_errno=True)
    with socket.socket(AF_XDP, socket.SOCK_RAW) as sender:
        memory = mmap.mmap(-1, XDP_ENTRIES * XDP_CHUNK)
        address_of = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        sender.setsockopt(SOL_XDP, XDP_UMEM_REG,
                          struct.pack("QQII", address_of, len(memory), XDP_CHUNK, 0))
        for ring in (XDP_FILL_RING, XDP_COMPLETION_RING, XDP_TX_RING):
            sender.setsockopt(SOL_XDP, ring, XDP_ENTRIES)
        offsets = struct.unpack("16Q", sender.getsockopt(SOL_XDP, XDP_MMAP_OFFSETS, 128))
        producer, _, desc, _ = offsets[4:8]
        ring = mmap.mmap(sender.fileno(), desc + XDP_ENTRIES * 16, offset=XDP_PGOFF_TX_RING)
        bind_to_queue(sender, libc)
        memory[:len(frame)] = frame
        struct.pack_into("QII", ring, desc, 0, len(frame), 0)
        struct.pack_into("I", ring, producer, 1)
        system_call(libc.sendto(sender.fileno(), None, 0, socket.MSG_DONTWAIT, None, 0))


def send(kind, way):
    if way == "--xdp":
        send_by_xdp(KINDS[kind]())
        return
    sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sender.bind((INTERFACE, 0))
    if way == "--bypass":
        sender.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
    if kind in KINDS:
        frame = KINDS[kind]()
    else:
        frame, (start, offset) = CHECKSUM_KINDS[kind]()
        sender.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        frame = struct.pack("=BBHHHH", VNET_NEEDS_CSUM, 0, 0, 0, start, offset) + frame
    sender.send(frame)


WAYS = ("--bypass", "--xdp")


def main():
    arguments = sys.argv[1:]
    kinds = [kind for kind in arguments if kind not in WAYS]
    if not kinds or not set(kinds) <= (KINDS | CHECKSUM_KINDS).keys():
        print(__doc__, "kinds: ", " ".join(KINDS | CHECKSUM_KINDS), file=sys.stderr)
        return 2
    status = 0
    way = None
    for argument in arguments:
        if argument in WAYS:
            way = argument
            continue
        try:
            send(argument, way)
        except OSError as error:
            print(f"refused: {argument}: {error}")
            status = 3
        way = None
    return status


if __name__ == "__main__":
    sys.exit(main())
