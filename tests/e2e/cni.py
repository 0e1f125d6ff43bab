#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Plays a container runtime as the Container Network Interface's specification has it: calls the
plugins of a network configuration list one after the other.

usage: cni.py COMMAND CONFLIST [--path DIR[:DIR...]] [--cache DIR] [--id ID] [--netns PATH]
              [--ifname NAME] [--args ARGS] [--valid ID,ID...] [--made RESULT]

ADD goes through the list in its order, hands each plugin the result of the one before, prints the
last one's and keeps it in the cache for CHECK and DEL. DEL goes through it in reverse. The first
plugin that fails ends all that, and its error is printed. What plugins say on stderr is passed on.
RESULT, a file, is what plugins had made before the first one of the list was added.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys


def find(plugin, path):
    for directory in path.split(":"):
        file = pathlib.Path(directory) / plugin
        if os.access(file, os.X_OK):
            return file
    sys.exit(f"no plugin {plugin} in {path}")


def variables(options):
    """Without what is not given: of the environment, only what a plugin needs to find programs."""
    given = {
        "CNI_COMMAND": options.command,
        "CNI_CONTAINERID": options.id,
        "CNI_NETNS": options.netns,
        "CNI_IFNAME": options.ifname,
        "CNI_ARGS": options.args,
        "CNI_PATH": options.path,
        "PATH": os.environ["PATH"],
    }
    return {name: value for name, value in given.items() if value is not None}


def call(plugin, configuration, options):
    """What the plugin answers, NULL for nothing. Ends this program where it fails."""
    done = subprocess.run(
        [find(plugin, options.path)],
        input=json.dumps(configuration),
        env=variables(options),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        # By the specification that is JSON: whatever else it is, is an error in itself.
        error = json.loads(done.stdout)
        if not error.keys() >= {"cniVersion", "code", "msg"}:
            sys.exit(f"{plugin}: not an error: {done.stdout}")
        print(done.stdout, end="")
        sys.exit(1)
    return json.loads(done.stdout) if done.stdout.strip() else None


def main():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("command")
    parser.add_argument("conflist", type=pathlib.Path)
    parser.add_argument("--path", default="/usr/lib/cni")
    parser.add_argument("--cache", type=pathlib.Path)
    parser.add_argument("--made", type=pathlib.Path)
    for name in ("id", "netns", "ifname", "args", "valid"):
        parser.add_argument("--" + name)
    options = parser.parse_args()

    whole = json.loads(options.conflist.read_text())
    cached = options.cache / f"{whole['name']}-{options.id}-{options.ifname}"
    result = json.loads(options.made.read_text()) if options.made else None
    if options.command in ("CHECK", "DEL") and cached.exists():
        result = json.loads(cached.read_text())
    plugins = whole["plugins"]
    for plugin in reversed(plugins) if options.command == "DEL" else plugins:
        configuration = dict(plugin, name=whole["name"], cniVersion=whole["cniVersion"])
        if result is not None:
            configuration["prevResult"] = result
        if options.valid is not None:
            configuration["cni.dev/valid-attachments"] = [
                {"containerID": valid, "ifname": "eth0"} for valid in options.valid.split(",") if valid
            ]
        answer = call(plugin["type"], configuration, options)
        if options.command == "ADD":
            result = answer
    if options.command == "ADD":
        cached.write_text(json.dumps(result))
        print(json.dumps(result))
    elif options.command == "DEL":
        cached.unlink(missing_ok=True)
    elif options.command == "VERSION":
        print(json.dumps(answer))


main()
