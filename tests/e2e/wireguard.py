#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Says what WireGuard's own tools do not.

usage: wireguard.py shapes SOURCE-PORT [good|bad|batch ADDRESS PORT]...
       wireguard.py flood PUBLIC-KEY ADDRESS PORT SOURCE-ADDRESS SOURCE-PORT
       wireguard.py bulk-server READY-FILE ADDRESS...
       wireguard.py bulk ADDRESS BYTES

`shapes` sends one packet of each shape that is WireGuard's, or of each that is nearly, or batches of
data messages that the kernel is to segment, and prints how many packets go to each place. `flood` sends so many handshake initiations at once, with a valid first MAC, that the interface with that key is
under load and answers with cookies; the source address need not be ours. `bulk` sends so many bytes
over TCP to a `bulk-server`, which sends them back, and fails if one is missing.
"""

import base64
import hashlib
import os
import pathlib
import socket
import sys
import threading

IP_FREEBIND, IP_TRANSPARENT, UDP_SEGMENT = 15, 19, 103
INITIATION, RESPONSE, COOKIE, DATA = 1, 2, 3, 4
BULK_PORT = 9000
MESSAGE_LEN = 148  # an initiation's
SEGMENTS = 60  # of one send call
SENDS = 32


def message(kind, length, reserved=b"\0\0\0"):
    return (bytes([kind]) + reserved + b"x" * length)[:length]


SHAPES = {
    "good": [
        message(INITIATION, 148), message(RESPONSE, 92), message(COOKIE, 64), message(DATA, 32),
        message(DATA, 33), message(DATA, 1452),
    ],
    "bad": [
        message(INITIATION, 147), message(INITIATION, 149), message(RESPONSE, 91),
        message(RESPONSE, 93), message(COOKIE, 63), message(COOKIE, 65), message(DATA, 31),
        message(DATA, 4), message(0, 148), message(5, 148), message(ord("x"), 60), b"\4\0\0", b"",
    ] + [message(DATA, 64, reserved) for reserved in (b"\1\0\0", b"\0\1\0", b"\0\0\1")],
}


def udp_socket(address):
    return socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)


BATCH = [message(DATA, 1452)] * 4 + [message(DATA, 1193)]
BATCHES = 12


def shapes(source_port, *places):
    for which, address, port in zip(places[0::3], places[1::3], places[2::3]):
        payloads = [b"".join(BATCH)] * BATCHES if which == "batch" else SHAPES[which]
        with udp_socket(address) as sender:
            sender.bind(("", int(source_port)))
            if which == "batch":
                sender.setsockopt(socket.SOL_UDP, UDP_SEGMENT, len(BATCH[0]))
            for payload in payloads:
                sender.sendto(payload, (address, int(port)))
        print(which, len(payloads) * (len(BATCH) if which == "batch" else 1))


def initiation(mac_key):
    """An initiation that costs its receiver a Diffie-Hellman before it is found to be none."""
    body = bytes([INITIATION, 0, 0, 0]) + os.urandom(112)
    return body + hashlib.blake2s(body, key=mac_key, digest_size=16).digest() + bytes(16)


def flood(public_key, address, port, source, source_port):
    mac_key = hashlib.blake2s(b"mac1----" + base64.b64decode(public_key)).digest()
    sends = [b"".join(initiation(mac_key) for _ in range(SEGMENTS)) for _ in range(SENDS)]
    sender = udp_socket(address)
    sender.setsockopt(socket.SOL_IP, IP_FREEBIND, 1)
    sender.setsockopt(socket.SOL_IP, IP_TRANSPARENT, 1)
    sender.setsockopt(socket.SOL_UDP, UDP_SEGMENT, MESSAGE_LEN)
    sender.bind((source, int(source_port)))
    for send in sends:
        sender.sendto(send, (address, int(port)))


def receive(connection):
    data = bytearray()
    while part := connection.recv(1 << 20):
        data += part
    return bytes(data)


def bounce(server):
    while True:
        connection, _ = server.accept()
        with connection:
            connection.sendall(receive(connection))


def bulk_server(ready, *addresses):
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        server = socket.create_server((address, BULK_PORT), family=family)
        threading.Thread(target=bounce, args=(server,)).start()
    pathlib.Path(ready).touch()


def bulk(address, size):
    data = os.urandom(int(size))
    with socket.create_connection((address, BULK_PORT)) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        if receive(connection) != data:
            sys.exit("wireguard.py: what came back is not what was sent")


def main():
    commands = {"shapes": shapes, "flood": flood, "bulk-server": bulk_server, "bulk": bulk}
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[1]](*sys.argv[2:])


if __name__ == "__main__":
    main()
