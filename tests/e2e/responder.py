#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Answers on TCP and UDP ports of some addresses, until it is killed.

usage: responder.py READY-FILE ADDRESS...

Each answer is a line that says whom it was asked by, as seen here: `from ADDRESS PORT at ADDRESS
PORT`. READY-FILE is made when all ports are open.
"""

import pathlib
import selectors
import socket
import sys

TCP_PORTS = (22, 53, 80, 443, 853)
UDP_PORTS = (53, 80, 443, 5353, 9999)


def answer(peer, local):
    return f"from {peer[0]} {peer[1]} at {local[0]} {local[1]}\n".encode()


def accept(server, selector):
    connection, _ = server.accept()
    connection.setblocking(False)
    selector.register(connection, selectors.EVENT_READ, converse)


def converse(connection, selector):
    try:
        data = connection.recv(65536)
        if data:
            connection.send(answer(connection.getpeername(), connection.getsockname()))
            return
    except OSError:
        pass
    selector.unregister(connection)
    connection.close()


def reply(server, _):
    try:
        _, peer = server.recvfrom(65536)
        server.sendto(answer(peer, server.getsockname()), peer)
    except OSError:
        pass  # an ICMP error about an earlier answer


def open_port(address, kind, port):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = socket.socket(family, kind)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((address, port))
    server.setblocking(False)
    return server


def main():
    ready, *addresses = sys.argv[1:]
    selector = selectors.DefaultSelector()
    for address in addresses:
        for port in TCP_PORTS:
            server = open_port(address, socket.SOCK_STREAM, port)
            server.listen(128)
            selector.register(server, selectors.EVENT_READ, accept)
        for port in UDP_PORTS:
            server = open_port(address, socket.SOCK_DGRAM, port)
            selector.register(server, selectors.EVENT_READ, reply)
    pathlib.Path(ready).touch()
    while True:
        for key, _ in selector.select():
            key.data(key.fileobj, selector)


if __name__ == "__main__":
    main()
