#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Asks a container runtime as a kubelet does: the Kubernetes Container Runtime Interface, version v1.

usage: cri.py SOCKET METHOD [JSON]

JSON is the request; the answer is printed as JSON. Members have the names of the interface's, those
that FIELDS knows; a member that it does not know is an error in a request and left out of an answer. A
call that fails exits with 1 and `METHOD: code N: what the runtime said` on stderr.

It is gRPC: one message, its length before it, posted over HTTP/2, which curl speaks.
"""

import json
import subprocess
import sys
import tempfile
import urllib.parse

# Messages as {member: (number, type)}. A type is str, int (bool and enum too), another message's name,
# or dict, which is a map of str to str; in a list: repeated.
FIELDS = {
    "VersionRequest": {},
    "VersionResponse": {"version": (1, str), "runtime_name": (2, str), "runtime_version": (3, str)},
    "StatusRequest": {"verbose": (1, int)},
    "StatusResponse": {"status": (1, "RuntimeStatus"), "info": (2, dict)},
    "RuntimeStatus": {"conditions": (1, ["RuntimeCondition"])},
    "RuntimeCondition": {"type": (1, str), "status": (2, int), "reason": (3, str), "message": (4, str)},
    "RunPodSandboxRequest": {"config": (1, "PodSandboxConfig"), "runtime_handler": (2, str)},
    "RunPodSandboxResponse": {"pod_sandbox_id": (1, str)},
    "StopPodSandboxRequest": {"pod_sandbox_id": (1, str)},
    "StopPodSandboxResponse": {},
    "RemovePodSandboxRequest": {"pod_sandbox_id": (1, str)},
    "RemovePodSandboxResponse": {},
    "ListPodSandboxRequest": {},
    "ListPodSandboxResponse": {"items": (1, ["PodSandbox"])},
    "PodSandbox": {"id": (1, str), "metadata": (2, "PodSandboxMetadata"), "state": (3, int)},
    "PodSandboxStatusRequest": {"pod_sandbox_id": (1, str), "verbose": (2, int)},
    "PodSandboxStatusResponse": {"status": (1, "PodSandboxStatus"), "info": (2, dict)},
    "PodSandboxStatus": {
        "id": (1, str),
        "metadata": (2, "PodSandboxMetadata"),
        "state": (3, int),
        "network": (5, "PodSandboxNetworkStatus"),
    },
    "PodSandboxNetworkStatus": {"ip": (1, str), "additional_ips": (2, ["PodIP"])},
    "PodIP": {"ip": (1, str)},
    "PodSandboxMetadata": {"name": (1, str), "uid": (2, str), "namespace": (3, str), "attempt": (4, int)},
    "PodSandboxConfig": {
        "metadata": (1, "PodSandboxMetadata"),
        "hostname": (2, str),
        "log_directory": (3, str),
        "dns_config": (4, "DNSConfig"),
        "port_mappings": (5, ["PortMapping"]),
        "labels": (6, dict),
        "annotations": (7, dict),
        "linux": (8, "LinuxPodSandboxConfig"),
    },
    "DNSConfig": {"servers": (1, [str])},
    "PortMapping": {"protocol": (1, int), "container_port": (2, int), "host_port": (3, int)},
    "LinuxPodSandboxConfig": {"cgroup_parent": (1, str), "security_context": (2, "LinuxSandboxSecurityContext")},
    "LinuxSandboxSecurityContext": {"namespace_options": (1, "NamespaceOption"), "privileged": (6, int)},
    "NamespaceOption": {"network": (1, int), "pid": (2, int), "ipc": (3, int)},
    "CreateContainerRequest": {
        "pod_sandbox_id": (1, str),
        "config": (2, "ContainerConfig"),
        "sandbox_config": (3, "PodSandboxConfig"),
    },
    "CreateContainerResponse": {"container_id": (1, str)},
    "ContainerConfig": {
        "metadata": (1, "ContainerMetadata"),
        "image": (2, "ImageSpec"),
        "command": (3, [str]),
        "args": (4, [str]),
        "envs": (6, ["KeyValue"]),
        "labels": (9, dict),
        "annotations": (10, dict),
        "log_path": (11, str),
        "linux": (15, "LinuxContainerConfig"),
    },
    "ContainerMetadata": {"name": (1, str), "attempt": (2, int)},
    "ImageSpec": {"image": (1, str)},
    "KeyValue": {"key": (1, str), "value": (2, str)},
    "LinuxContainerConfig": {"security_context": (2, "LinuxContainerSecurityContext")},
    "LinuxContainerSecurityContext": {
        "capabilities": (1, "Capability"),
        "privileged": (2, int),
        "namespace_options": (3, "NamespaceOption"),
    },
    "Capability": {"add_capabilities": (1, [str]), "drop_capabilities": (2, [str])},
    "StartContainerRequest": {"container_id": (1, str)},
    "StartContainerResponse": {},
    "StopContainerRequest": {"container_id": (1, str), "timeout": (2, int)},
    "StopContainerResponse": {},
    "RemoveContainerRequest": {"container_id": (1, str)},
    "RemoveContainerResponse": {},
    "ContainerStatusRequest": {"container_id": (1, str)},
    "ContainerStatusResponse": {"status": (1, "ContainerStatus")},
    "ContainerStatus": {
        "id": (1, str),
        "metadata": (2, "ContainerMetadata"),
        "state": (3, int),
        "exit_code": (7, int),
        "reason": (10, str),
        "message": (11, str),
    },
    "ExecSyncRequest": {"container_id": (1, str), "cmd": (2, [str]), "timeout": (3, int)},
    "ExecSyncResponse": {"stdout": (1, bytes), "stderr": (2, bytes), "exit_code": (3, int)},
}

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
PREFIX = 5  # bytes before a message: whether it is compressed, and its length


# --- messages ------------------------------------------------------------------------------------


def varint(number):
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def counted(number, data):
    return varint(number << 3 | BYTES) + varint(len(data)) + data


def encode_one(number, kind, value):
    if kind is int:
        return varint(number << 3 | VARINT) + varint(int(value))
    if kind is str:
        return counted(number, value.encode())
    if kind is dict:
        return b"".join(counted(number, counted(1, k.encode()) + counted(2, v.encode())) for k, v in value.items())
    return counted(number, encode(kind, value))


def encode(name, message):
    out = b""
    for member, value in message.items():
        if member not in FIELDS[name]:
            sys.exit(f"cri: a {name} has no member {member} here")
        number, kind = FIELDS[name][member]
        values, kind = (value, kind[0]) if isinstance(kind, list) else ([value], kind)
        out += b"".join(encode_one(number, kind, each) for each in values)
    return out


def take_varint(data, at):
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at += 1
        shift += 7
        if byte < 0x80:
            return number, at


def fields_of(data):
    """(number, value) of each; values are int or bytes."""
    at = 0
    while at < len(data):
        key, at = take_varint(data, at)
        kind = key & 7
        if kind == VARINT:
            value, at = take_varint(data, at)
        else:
            size = {FIXED64: 8, FIXED32: 4}.get(kind)
            if size is None:
                size, at = take_varint(data, at)
            value, at = data[at : at + size], at + size
        yield key >> 3, value


def decode_one(kind, value):
    if kind is int:
        return value - (1 << 64) if value >> 63 else value
    if kind in (str, bytes):
        return value.decode(errors="replace")
    return decode(kind, value)


def decode(name, data):
    members = {number: (member, kind) for member, (number, kind) in FIELDS[name].items()}
    message = {}
    for number, value in fields_of(data):
        if number not in members:
            continue
        member, kind = members[number]
        if isinstance(kind, list):
            message.setdefault(member, []).append(decode_one(kind[0], value))
        elif kind is dict:
            entry = dict(fields_of(value))
            message.setdefault(member, {})[entry.get(1, b"").decode()] = entry.get(2, b"").decode()
        else:
            message[member] = decode_one(kind, value)
    return message


# --- the call ------------------------------------------------------------------------------------


def post(socket, method, body):
    """The answer's headers and trailers, and its body."""
    with tempfile.NamedTemporaryFile() as headers:
        answer = subprocess.run(
            ["curl", "--silent", "--show-error", "--http2-prior-knowledge", "--unix-socket", socket]
            + ["--header", "Content-Type: application/grpc", "--header", "TE: trailers"]
            + ["--dump-header", headers.name, "--data-binary", "@-", "--max-time", "120"]
            + [f"http://localhost/runtime.v1.RuntimeService/{method}"],
            input=body,
            stdout=subprocess.PIPE,
            check=False,
        )
        if answer.returncode != 0:
            sys.exit(f"{method}: curl ended with {answer.returncode}")
        lines = headers.read().decode(errors="replace").splitlines()
    return dict(line.split(": ", 1) for line in lines if ": " in line), answer.stdout


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    socket, method = sys.argv[1:3]
    request = encode(method + "Request", json.loads(sys.argv[3] if len(sys.argv) == 4 else "{}"))
    said, body = post(socket, method, b"\0" + len(request).to_bytes(PREFIX - 1, "big") + request)
    if said.get("grpc-status") != "0":
        reason = urllib.parse.unquote(said.get("grpc-message", ""))
        sys.exit(f"{method}: code {said.get('grpc-status', '?')}: {reason}")
    print(json.dumps(decode(method + "Response", body[PREFIX:])))


main()
