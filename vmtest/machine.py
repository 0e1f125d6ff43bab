# SPDX-License-Identifier: GPL-2.0
"""One virtual machine: boots a kernel, runs a command in it, and brings back what it said.

The verdict comes over a serial port of its own and carries a nonce that only the first process of
the machine knows. A machine that ends without it has failed, whatever its output says.
"""

import collections
import contextlib
import ctypes
import gzip
import lzma
import os
import pathlib
import re
import secrets
import selectors
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import packages

HERE = pathlib.Path(__file__).resolve().parent
VM_FAILED = 125
# What the initramfs needs to reach the file system of the machine and the ports.
MODULES = ("virtio_pci", "virtio_console", "virtiofs", "overlay")
# What a command sees of the caller's environment.
ENVIRONMENT = ("BUILD", "HOME", "LANG", "LC_ALL", "LOGNAME", "SHELL", "TERM", "USER")
# How much slower a machine without KVM is than the one it runs on: what the tests' patience is
# multiplied with.
TCG_SLOW = 10
CONSOLE_LINES = 30
PR_SET_PDEATHSIG = 1

Job = collections.namedtuple(
    "Job", "command directory environment cpus memory timeout accel results keep_log")

LIBC = ctypes.CDLL(None, use_errno=True)


class MachineFailed(Exception):
    """The machine did not bring a verdict."""


def note(text):
    packages.note(text)


# --- the initramfs ---------------------------------------------------------------------------------


class Cpio:
    """An archive in the format that the kernel unpacks."""

    def __init__(self):
        self.parts = []
        self.count = 0
        self.directories = set()

    def add(self, name, mode, data=b""):
        self.count += 1
        encoded = name.encode() + b"\0"
        fields = (self.count, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
        entry = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
        self.parts += [entry, b"\0" * (-len(entry) % 4), data, b"\0" * (-len(data) % 4)]

    def file(self, name, data, mode=0o644):
        parent = os.path.dirname(name)
        if parent and parent not in self.directories:
            self.directories.add(parent)
            self.add(parent, 0o040755)
        self.add(name, 0o100000 | mode, data)

    def finish(self):
        self.add("TRAILER!!!", 0)
        return b"".join(self.parts)


def static_busybox():
    for path in ("/bin/busybox", "/usr/bin/busybox", "/bin/busybox.static"):
        try:
            data = pathlib.Path(path).read_bytes()
        except FileNotFoundError:
            continue
        # No program interpreter: it needs nothing but itself.
        if data[:4] == b"\x7fELF" and b"/lib64/ld-linux" not in data[:4096]:
            return data
    raise packages.Failure("there is no static busybox here (package busybox-static)")


def module_name(path):
    return re.sub(r"\.ko(\.\w+)?$", "", os.path.basename(path)).replace("-", "_")


def modules_in_order(directory):
    """Files of MODULES and of what they need, in the order in which they can be loaded."""
    needs = {}
    for line in (directory / "modules.dep").read_text(encoding="utf-8").splitlines():
        path, _, rest = line.partition(":")
        needs[module_name(path)] = (path, [module_name(need) for need in rest.split()])
    builtin = {
        module_name(line)
        for line in (directory / "modules.builtin").read_text(encoding="utf-8").splitlines()
    }
    order = []

    def visit(name):
        if name in builtin:
            return
        if name not in needs:
            raise packages.Failure(f"the kernel of {directory} has no module {name}")
        path, dependencies = needs[name]
        if path in order:
            return
        for dependency in dependencies:
            visit(dependency)
        order.append(path)

    for name in MODULES:
        visit(name)
    return order


def uncompressed(path):
    if path.suffix == ".xz":
        return lzma.decompress(path.read_bytes())
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes())
    if path.suffix == ".zst":
        return subprocess.run(["zstd", "-dcq", str(path)], stdout=subprocess.PIPE, check=True).stdout
    return path.read_bytes()


def initramfs(kernel, files):
    archive = Cpio()
    archive.file("bin/busybox", static_busybox(), 0o755)
    archive.file("init", (HERE / "init").read_bytes(), 0o755)
    archive.file("guest", (HERE / "guest").read_bytes())
    order = []
    for path in modules_in_order(kernel.modules):
        name = f"/modules/{module_name(path)}.ko"
        order.append(name + "\n")
        archive.file(name[1:], uncompressed(kernel.modules / path))
    archive.file("modules/order", "".join(order).encode())
    for name, text in files.items():
        archive.file(f"job/{name}", text.encode())
    return archive.finish()


# --- processes -------------------------------------------------------------------------------------


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # Ctrl-C is ours to handle.
    os.setpgid(0, 0)


def end(process):
    if process.poll() is None:
        process.kill()
    process.wait()


def qemu(kernel, scratch, accel, cpus, memory, *more, **options):
    parameters = [
        "console=ttyS0", "loglevel=6", "panic=-1", "oops=panic", "mitigations=off", "audit=0",
        # All of cgroup v1 off, but for net_cls and net_prio: a test has them come into use.
        "apparmor=0", "init_on_alloc=0", "cgroup_no_v1=cpuset,cpu,cpuacct,blkio,memory,devices,"
        "freezer,perf_event,hugetlb,pids,rdma,misc,named", "random.trust_cpu=on",
    ]
    if accel == "tcg":
        # Emulated time is coarse: what checks timers against each other finds them wanting.
        parameters += ["no_timer_check", "tsc=reliable", "nowatchdog"]
    command = [
        "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        "-machine", "q35", "-nic", "none", "-smp", str(cpus), "-m", f"{memory}M",
        "-kernel", str(kernel.vmlinuz), "-append", " ".join(parameters),
        "-serial", f"file:{scratch / 'console.log'}",
    ]
    if accel == "kvm":
        command += ["-accel", "kvm", "-cpu", "host"]
    else:
        command += ["-accel", "tcg,thread=multi", "-cpu", "max,la57=off"]
    with open(scratch / "qemu.log", "wb") as log:
        try:
            return subprocess.Popen(
                command + list(more), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=die_with_parent, **options)
        except FileNotFoundError as error:
            raise packages.Failure(
                "there is no qemu-system-x86_64 here (package qemu-system-x86)") from error


def kvm_works(kernel):
    """Whether KVM runs this kernel, found by trying: without a root it panics, which ends QEMU."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    with tempfile.TemporaryDirectory(prefix="eg-vm-") as scratch:
        scratch = pathlib.Path(scratch)
        process = qemu(kernel, scratch, "kvm", 1, 512)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            return False
        finally:
            end(process)
        console = scratch / "console.log"
        return console.exists() and b"Kernel panic" in console.read_bytes()


def choose_accel(kernel):
    """kvm or tcg; what was found is remembered until the machine boots again."""
    boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    path = packages.cache_directory() / "accel"
    with packages.locked(packages.cache_directory() / "accel.lock"):
        try:
            known, accel = path.read_text(encoding="ascii").split()
            if known == boot:
                return accel
        except (FileNotFoundError, ValueError):
            pass
        accel = "kvm" if kvm_works(kernel) else "tcg"
        path.write_text(f"{boot} {accel}\n", encoding="ascii")
    if accel == "tcg":
        note("KVM runs no kernel here, so machines are emulated, which is 20 to 40 times slower")
    return accel


# --- the run ---------------------------------------------------------------------------------------


def script(kernel, job, slow):
    """What the guest runs: the caller's directory and environment, then the command."""
    environment = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    environment.update(job.environment)
    environment.update(
        EG_VM=kernel.name, EG_SLOW=str(slow), EG_VM_RESULTS="/run/vmtest/results")
    lines = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    lines.append(f"cd {shlex.quote(job.directory)} || exit 126")
    lines.append("exec " + shlex.join(job.command))
    return "\n".join(lines) + "\n"


class Machine:
    """A running virtual machine and the files that it writes to."""

    def __init__(self, kernel, job, scratch, stack):
        self.job = job
        self.kernel = kernel
        self.scratch = scratch
        self.nonce = secrets.token_hex(16)
        self.verdict = None
        self.ready = False
        self.line = b""
        self.sinks = {}
        self.selector = selectors.DefaultSelector()

        outputs = {"out": sys.stdout.buffer}
        if not same_file(1, 2):
            outputs["err"] = sys.stderr.buffer
        outputs["results"] = stack.enter_context(open(job.results or os.devnull, "wb"))
        slow = 1 if job.accel == "kvm" else TCG_SLOW
        image = scratch / "initramfs"
        image.write_bytes(initramfs(kernel, {
            "nonce": self.nonce,
            "path": os.environ.get("PATH", os.defpath),
            "modules": str(kernel.modules),
            "streams": " ".join(outputs),
            "command": script(kernel, job, slow),
        }))

        ports = []
        descriptors = []
        for name, sink in dict(outputs, verdict=None).items():
            ours, theirs = socket.socketpair()
            stack.enter_context(ours)
            self.sinks[ours] = sink
            self.selector.register(ours, selectors.EVENT_READ)
            descriptors.append(theirs)
            ports += ["-chardev", f"socket,id={name},fd={theirs.fileno()}",
                      "-device", f"virtserialport,chardev={name},name={name}"]

        files = self.share(stack)
        descriptors.append(files)
        self.qemu = qemu(
            kernel, scratch, job.accel, job.cpus, job.memory,
            "-initrd", str(image),
            "-object", f"memory-backend-memfd,id=memory,size={job.memory}M,share=on",
            "-numa", "node,memdev=memory",
            "-chardev", f"socket,id=machine,fd={files.fileno()}",
            "-device", "vhost-user-fs-pci,chardev=machine,tag=machine,queue-size=1024",
            "-device", "virtio-serial-pci", *ports,
            pass_fds=[one.fileno() for one in descriptors])
        stack.callback(end, self.qemu)
        for one in descriptors:
            one.close()

    def share(self, stack):
        """Starts virtiofsd; returns the connection to it."""
        tree = self.scratch / "machine"
        tree.mkdir()
        path = self.scratch / "socket"
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(path))
            listening.listen(1)
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(str(path))
            path.unlink()
            with open(self.scratch / "share.log", "wb") as log:
                self.files = subprocess.Popen(
                    [sys.executable, "-B", str(HERE / "share.py"), str(tree),
                     str(listening.fileno())],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent,
                    pass_fds=[listening.fileno()])
        stack.callback(end, self.files)
        return connection

    def hear(self, data):
        """What came over the port of the verdict."""
        self.line += data
        while b"\n" in self.line:
            line, _, self.line = self.line.partition(b"\n")
            words = line.decode("ascii", "replace").split()
            if len(words) == 3 and words[0] == self.nonce:
                if words[1] == "ready":
                    self.ready = True
                elif words[1] == "exit" and words[2].isdigit():
                    self.verdict = int(words[2])

    def pump(self, patience):
        """Passes on what has come within that time."""
        for key, _ in self.selector.select(patience):
            data = key.fileobj.recv(1 << 16)
            sink = self.sinks[key.fileobj]
            if not data:
                self.selector.unregister(key.fileobj)
            elif sink is None:
                self.hear(data)
            else:
                sink.write(data)
                sink.flush()

    def run(self):
        start = time.monotonic()
        unshared = None
        while self.qemu.poll() is None and self.verdict is None:
            self.pump(0.2)
            if self.files.poll() is not None and self.verdict is None:
                # It does end with the machine, which may have a verdict yet to be read.
                unshared = unshared or time.monotonic()
                if not self.ready or time.monotonic() - unshared > 5:
                    raise MachineFailed("virtiofsd has ended")
            if time.monotonic() - start > self.job.timeout:
                what = "the command still runs" if self.ready else "it has not booted"
                raise MachineFailed(f"time limit: {what} after {self.job.timeout:g} seconds")
        # A machine that has said its verdict goes off by itself.
        limit = time.monotonic() + 10
        while self.selector.get_map() and time.monotonic() < limit:
            self.pump(0.2)
        if self.verdict is None:
            raise MachineFailed("it ended without a verdict")
        return self.verdict


def same_file(left, right):
    one, other = os.fstat(left), os.fstat(right)
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


def show_failure(machine, scratch, job, kernel, reason):
    """Says why, keeps the console's log."""
    keep = pathlib.Path(job.keep_log) if job.keep_log else None
    if keep is None:
        descriptor, name = tempfile.mkstemp(prefix=f"eg-vm-{kernel.name}-", suffix=".console")
        os.close(descriptor)
        keep = pathlib.Path(name)
    text = b"".join(
        path.read_bytes() for name in ("share.log", "qemu.log", "console.log")
        if (path := scratch / name).exists())
    keep.write_bytes(text)
    note(f"{kernel.release}: the machine failed: {reason}; its console, {keep}, ends with:")
    lines = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]|[^\x20-\x7e\n]", b"", text).decode().splitlines()
    for line in lines[-CONSOLE_LINES:]:
        print(f"  | {line}", file=sys.stderr)
    sys.stderr.flush()


def boot(kernel, job):
    """Runs a job; returns the command's exit status, or 125 if the machine failed."""
    if job.keep_log:
        with open(job.keep_log, "wb"):
            pass  # that it cannot be written is better known before
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="eg-vm-"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        machine = None
        try:
            machine = Machine(kernel, job, scratch, stack)
            status = machine.run()
        except MachineFailed as failure:
            show_failure(machine, scratch, job, kernel, failure)
            return VM_FAILED
        if job.keep_log:
            shutil.copyfile(scratch / "console.log", job.keep_log)
        return status
