#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Passes what a container engine is asked on to it, and says that it is Docker Desktop's, until it is
killed.

usage: desktop.py SOCKET ENGINE-SOCKET
"""

import http.client
import http.server
import json
import os
import socket
import socketserver
import sys


class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[2])


class Desktop(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        connection = Connection("localhost")
        connection.request("GET", self.path)
        reply = connection.getresponse()
        body = reply.read()
        if self.path == "/info":
            body = json.dumps(json.loads(body) | {"OperatingSystem": "Docker Desktop"}).encode()
        self.send_response(reply.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self):
        return "socket"

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


def main():
    path = sys.argv[1] + ".new"
    with Server(path, Desktop) as server:
        os.rename(path, sys.argv[1])
        server.serve_forever()


if __name__ == "__main__":
    main()
