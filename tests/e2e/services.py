#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Plays services, until it is killed.

usage: services.py READY-FILE KIND ADDRESS PORT...

`dns` says of every name that there is none (UDP); `page` answers each connection with a page; `mute`
accepts connections and never says anything. READY-FILE is made when all are open.
"""

import pathlib
import socket
import sys
import threading

NXDOMAIN = b"\x81\x83"
PAGE = b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nhi\n"


def dns(server):
    while True:
        query, peer = server.recvfrom(512)
        server.sendto(query[:2] + NXDOMAIN + query[4:], peer)


def page(server):
    while True:
        connection, _ = server.accept()
        with connection:
            try:
                connection.recv(4096)
                connection.sendall(PAGE)
            except OSError:
                pass  # who asked has gone


def mute(server):
    kept = []
    while True:
        kept.append(server.accept())


def open_server(kind, address, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    if kind is not dns:
        return socket.create_server((address, port), family=family)
    server = socket.socket(family, socket.SOCK_DGRAM)
    server.bind((address, port))
    return server


def main():
    ready, *services = sys.argv[1:]
    kinds = {"dns": dns, "page": page, "mute": mute}
    for name, address, port in zip(services[0::3], services[1::3], services[2::3]):
        server = open_server(kinds[name], address, int(port))
        threading.Thread(target=kinds[name], args=(server,)).start()
    pathlib.Path(ready).touch()


if __name__ == "__main__":
    main()
