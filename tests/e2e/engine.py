#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Plays a container engine that listens at a socket, until it is killed.

usage: engine.py SOCKET [NAME=PID]...

Each NAME is a container; its id is the SHA-256 of its name, and PID 0 is a stopped one. What is asked
about one whose PID is -1 is never answered, and SOCKET.asked has a line for each such question, "asked"
or, when who asked has gone, "left". Its stream of events tells of none.
"""

import hashlib
import http.server
import json
import os
import socketserver
import sys


def container_id(name):
    return hashlib.sha256(name.encode()).hexdigest()


class Engine(http.server.BaseHTTPRequestHandler):
    containers = {}  # name: PID
    names = {}  # id: name
    notes = ""  # a file

    def reply(self, status, content):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def keep(self):
        """Until who asked goes."""
        while self.connection.recv(4096):
            pass

    def note(self, word):
        with open(self.notes, "a", encoding="ascii") as notes:
            notes.write(word + "\n")

    def do_GET(self):
        if self.path.startswith("/events"):
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.flush()
            self.keep()
            return
        if self.path == "/containers/json":
            self.reply(200, [
                {"Id": container_id(name), "Names": ["/" + name]} for name in self.containers
            ])
            return
        name = self.path.removeprefix("/containers/").removesuffix("/json")
        name = self.names.get(name, name)
        if name not in self.containers:
            self.reply(404, {"message": f"No such container: {name}"})
            return
        pid = self.containers[name]
        if pid == -1:
            self.note("asked")
            self.keep()
            self.note("left")
            return
        self.reply(200, {
            "Id": container_id(name),
            "Name": "/" + name,
            "State": {
                "Running": pid != 0, "Pid": pid, "StartedAt": "2024-01-02T03:04:05.5Z",
            },
        })

    def address_string(self):
        return "socket"

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


def main():
    for argument in sys.argv[2:]:
        name, _, pid = argument.partition("=")
        Engine.containers[name] = int(pid)
        Engine.names[container_id(name)] = name
    # Whoever finds the socket finds somebody who listens.
    path = sys.argv[1] + ".new"
    Engine.notes = sys.argv[1] + ".asked"
    with Server(path, Engine) as server:
        os.rename(path, sys.argv[1])
        server.serve_forever()


if __name__ == "__main__":
    main()
