# SPDX-License-Identifier: GPL-2.0
"""Shares the machine's files with one virtual machine, read-only.

usage: share.py DIRECTORY SOCKET_FD

In a mount namespace of its own it binds all that is mounted onto DIRECTORY, makes every mount there
read-only, and becomes virtiofsd over that. Without root it does so in a user namespace.
"""

import ctypes
import os
import struct
import subprocess
import sys

PROGRAMS = ("/usr/libexec/virtiofsd", "/usr/lib/virtiofsd", "/usr/lib/qemu/virtiofsd")

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 1 << 18
MNT_DETACH = 2
AT_FDCWD = -100
AT_RECURSIVE = 0x8000
MOUNT_ATTR_RDONLY = 1
SYS_MOUNT_SETATTR = 442

LIBC = ctypes.CDLL(None, use_errno=True)


def check(result, what):
    if result != 0:
        error = ctypes.get_errno()
        sys.exit(f"vmtest: {what}: {os.strerror(error)}")


def program():
    for path in PROGRAMS:
        if os.access(path, os.X_OK):
            return path
    return None


def enter_namespaces():
    if os.geteuid() == 0:
        check(LIBC.unshare(CLONE_NEWNS), "cannot make a mount namespace")
        return
    user, group = os.geteuid(), os.getegid()
    check(LIBC.unshare(CLONE_NEWUSER | CLONE_NEWNS),
          "cannot share files without root, since user namespaces are not allowed here")
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def mount_read_only(directory):
    path = os.fsencode(directory)
    check(LIBC.mount(None, b"/", None, MS_REC | MS_PRIVATE, None), "cannot make mounts private")
    check(LIBC.mount(b"/", path, None, MS_BIND | MS_REC, None), "cannot bind /")
    # The guest has its own of these. Without root they are locked together, and stay.
    for name in (b"proc", b"sys", b"dev", b"run"):
        while LIBC.umount2(path + b"/" + name, MNT_DETACH) == 0:
            pass
    attributes = struct.pack("QQQQ", MOUNT_ATTR_RDONLY, 0, 0, 0)
    check(LIBC.syscall(SYS_MOUNT_SETATTR, AT_FDCWD, path, AT_RECURSIVE, attributes, len(attributes)),
          "cannot make the machine's files read-only")


def main():
    directory, socket = sys.argv[1], sys.argv[2]
    path = program()
    if path is None:
        sys.exit("vmtest: there is no virtiofsd here (package virtiofsd, or qemu-system-common)")
    usage = subprocess.run([path, "--help"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           text=True, check=False).stdout
    rust = "--shared-dir" in usage
    if not rust and os.geteuid() != 0:
        # It opens files as overlayfs asks, which only their owner may.
        sys.exit(f"vmtest: {path} shares files for root alone; the virtiofsd in Rust (Debian 13,"
                 " package virtiofsd) does for others too")
    enter_namespaces()
    mount_read_only(directory)
    # The guest sees the files as they were when it first looked.
    if rust:
        command = [path, f"--fd={socket}", f"--shared-dir={directory}", "--cache=always",
                   "--sandbox=chroot", "--log-level=error"]
        # Overlayfs takes no directory below which others may appear.
        for option in ("--no-announce-submounts", "--readonly"):
            if option in usage:
                command.append(option)
    else:
        command = [path, "-f", f"--fd={socket}", "-o",
                   f"source={directory},cache=always,sandbox=chroot,log_level=err",
                   "--rlimit-nofile=0"]
    os.execv(path, command)


main()
