# SPDX-License-Identifier: GPL-2.0
"""Kernels from Debian's packages: finds, fetches, verifies and unpacks them into a cache.

apt does the work, under a configuration of its own: its sources, lists and cache are in our cache,
the machine's are only read. apt refuses what Debian's archive key did not sign; from the index that
it accepted we keep each package's SHA-256, and a package in the cache is used only if it still has
it.
"""

import collections
import contextlib
import fcntl
import fnmatch
import functools
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

Entry = collections.namedtuple("Entry", "name suites pattern version")
Package = collections.namedtuple("Package", "name version sha256 depends")
# What a virtual machine boots: `release` is what uname -r will say, `modules` the directory that
# becomes /lib/modules/RELEASE.
Kernel = collections.namedtuple("Kernel", "name release version vmlinuz modules")


class Failure(Exception):
    """One sentence for the user."""


def entries():
    found = []
    for line in (HERE / "kernels").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, suites, pattern, version = line.split()
            found.append(Entry(name, suites.split(","), pattern, version))
    return found


def cache_directory():
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = pathlib.Path(os.environ.get("EG_VM_CACHE") or pathlib.Path(home) / "egressguard/vm")
    path.mkdir(parents=True, exist_ok=True)
    return path.resolve()


@contextlib.contextmanager
def locked(path):
    with open(path, "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def note(text):
    print(f"vmtest: {text}", file=sys.stderr, flush=True)


def run(command, what, **options):
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", check=False, **options)
    except FileNotFoundError as error:
        raise Failure(f"{what}: there is no {command[0]} here") from error
    if done.returncode != 0:
        raise Failure(f"{what}:\n{done.stdout.strip()}")
    return done.stdout


# --- apt, in a place of its own --------------------------------------------------------------------


def mirrors():
    """Where the machine gets Debian from: (of the archive, of its security updates)."""
    if os.environ.get("EG_VM_MIRROR"):
        archive = os.environ["EG_VM_MIRROR"].rstrip("/")
        return archive, os.environ.get("EG_VM_SECURITY_MIRROR", archive + "-security").rstrip("/")
    text = run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"],
               "cannot read the machine's apt configuration")
    archive = security = None
    for address in text.split():
        address = address.rstrip("/")
        if address.endswith("/debian"):
            archive = archive or address
        elif address.endswith("/debian-security"):
            security = security or address
    if not archive:
        raise Failure("the machine's apt configuration names no Debian mirror: set EG_VM_MIRROR to"
                      " one, or use --vmlinuz and --modules")
    return archive, security or archive + "-security"


class Apt:
    """apt-get with the sources of one kernel, and nothing of the machine's but its transport."""

    def __init__(self, directory, entry):
        self.directory = directory
        for path in ("lists/partial", "cache/archives/partial", "parts"):
            (directory / path).mkdir(parents=True, exist_ok=True)
        if not os.access(KEYRING, os.R_OK):
            raise Failure(f"there is no {KEYRING} (package debian-archive-keyring)")
        archive, security = mirrors()
        lines = [
            f"deb [arch=amd64 signed-by={KEYRING}]"
            f" {security if suite.endswith('-security') else archive} {suite} main\n"
            for suite in entry.suites
        ]
        (directory / "sources.list").write_text("".join(lines), encoding="utf-8")
        options = {
            "Dir::Etc::sourcelist": directory / "sources.list",
            "Dir::Etc::sourceparts": directory / "parts",
            "Dir::Etc::preferences": directory / "no-preferences",
            "Dir::Etc::preferencesparts": directory / "parts",
            "Dir::State::lists": directory / "lists",
            "Dir::Cache": directory / "cache",
            "APT::Architecture": "amd64",
            "APT::Architectures": "amd64",
            # The one that drops privileges cannot reach everybody's cache directory.
            "APT::Sandbox::User": "root",
            "APT::Get::AllowUnauthenticated": "false",
            "Acquire::AllowInsecureRepositories": "false",
            "Acquire::AllowWeakRepositories": "false",
            "Acquire::AllowDowngradeToInsecureRepositories": "false",
            "Acquire::Languages": "none",
            "Acquire::GzipIndexes": "false",
            "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled": "false",
            "Acquire::Retries": "2",
            # What could not be fetched is an error, not an old list.
            "APT::Update::Error-Mode": "any",
        }
        self.options = [
            word for name, value in options.items() for word in ("-o", f"{name}={value}")
        ]

    def get(self, what, *arguments, cwd=None):
        return run(["apt-get", "-q", *self.options, *arguments], what, cwd=cwd,
                   env=dict(os.environ, LC_ALL="C.UTF-8"))

    def packages(self):
        """What apt's verified lists have: {(name, version): Package}."""
        # apt names its trust in each list; one that it would not trust must not be read at all.
        text = self.get("cannot list apt's indexes", "indextargets", "--format",
                        "$(FILENAME)\t$(TRUSTED)", "Created-By: Packages")
        found = {}
        for line in text.splitlines():
            path, _, trusted = line.partition("\t")
            if trusted != "yes":
                raise Failure(f"apt does not trust {path}")
            for stanza in pathlib.Path(path).read_text(encoding="utf-8").split("\n\n"):
                if not stanza.startswith("Package: linux-"):
                    continue
                field = dict(re.findall(r"^([A-Za-z0-9-]+): (.*)$", stanza, re.MULTILINE))
                depends = [
                    match["name"] for match in
                    re.finditer(r"(?P<name>linux-[^ ,|]+) \(= (?P<version>[^)]+)\)",
                                field.get("Depends", ""))
                    if match["version"] == field["Version"]
                ]
                package = Package(field["Package"], field["Version"], field["SHA256"], depends)
                found[package.name, package.version] = package
        return found


def compare_versions(left, right):
    for relation, result in (("lt", -1), ("gt", 1)):
        if subprocess.run(["dpkg", "--compare-versions", left, relation, right],
                          check=False).returncode == 0:
            return result
    return 0


def choose(entry, found):
    """The pinned version of an entry's package, or else the newest."""
    candidates = [
        package for package in found.values()
        if fnmatch.fnmatchcase(package.name, entry.pattern)
        # `linux-image-6.1-cloud-amd64` is a name for whatever is newest, with nothing in it.
        and re.search(r"-\d+\.\d+\.", package.name)
    ]
    if not candidates:
        raise Failure(f"{entry.name}: the mirror has no {entry.pattern} in {','.join(entry.suites)}")
    pinned = [package for package in candidates if package.version == entry.version]
    key = functools.cmp_to_key(lambda a, b: compare_versions(a.version, b.version))
    package = max(pinned or candidates, key=key)
    parts = [package]
    for part in parts:
        for name in part.depends:
            needed = found.get((name, part.version))
            if needed and needed not in parts:
                parts.append(needed)
    return parts


# --- the cache -------------------------------------------------------------------------------------


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def verify(directory, record):
    """Every package file is what the signed index said when it was fetched."""
    for part in record["parts"]:
        path = directory / part["file"]
        if not path.exists():
            raise Failure(f"{path} is missing from the cache: remove {directory} to fetch it again")
        if sha256(path) != part["sha256"]:
            raise Failure(f"{path} is not what the signed index promised (SHA-256 differs): remove"
                          f" {directory} to fetch it again")


def fetch(directory, entry):
    """Resolves and downloads; the record is written last, so an interrupted download is none."""
    apt = Apt(directory / "apt", entry)
    note(f"{entry.name}: asking the mirror for {entry.pattern}")
    apt.get(f"{entry.name}: apt-get update", "update")
    parts = choose(entry, apt.packages())
    partial = directory / "partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    record = {"wanted": entry.version, "package": parts[0].name, "version": parts[0].version,
              "parts": []}
    for part in parts:
        note(f"{entry.name}: fetching {part.name} {part.version}")
        apt.get(f"{entry.name}: apt-get download", "download", f"{part.name}={part.version}",
                cwd=partial)
        (file,) = set(partial.glob("*.deb")) - {partial / done["file"] for done in record["parts"]}
        record["parts"].append({"file": file.name, "name": part.name, "sha256": part.sha256})
    verify(partial, record)
    for part in record["parts"]:
        os.replace(partial / part["file"], directory / part["file"])
    partial.rmdir()
    write_record(directory, record)
    return record


def write_record(directory, record):
    new = directory / "record.new"
    with open(new, "w", encoding="utf-8") as file:
        json.dump(record, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, directory / "record")


def read_record(directory):
    try:
        return json.loads((directory / "record").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def unpack(directory, record):
    """The packages' files, with modules.dep, in a tree named after what it was made from."""
    digest = hashlib.sha256("".join(part["sha256"] for part in record["parts"]).encode())
    tree = directory / ("tree-" + digest.hexdigest()[:16])
    if not tree.is_dir():
        new = directory / "tree.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        for part in record["parts"]:
            run(["dpkg-deb", "-x", str(directory / part["file"]), str(new)], "dpkg-deb")
        modules = modules_directory(new)
        # dpkg leaves this to a script of the package.
        run(["depmod", "-b", str(modules.parents[2]), modules.name], "depmod",
            env=dict(os.environ, PATH=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"))
        for old in directory.glob("tree-*"):
            shutil.rmtree(old, ignore_errors=True)
        os.replace(new, tree)
    return tree


def modules_directory(tree):
    for place in ("lib/modules", "usr/lib/modules"):
        for path in (tree / place).glob("*"):
            if (path / "modules.builtin").exists():
                return path
    raise Failure(f"no kernel modules in {tree}")


def vmlinuz(tree, release):
    for place in (tree / "boot" / f"vmlinuz-{release}", modules_directory(tree) / "vmlinuz"):
        if place.exists():
            return place
    raise Failure(f"no vmlinuz in {tree}")


def provide(name, refresh=False):
    """The kernel of that name in vmtest/kernels, from the cache if it is there."""
    entry = next((entry for entry in entries() if entry.name == name), None)
    if entry is None:
        known = ", ".join(entry.name for entry in entries())
        raise Failure(f"there is no kernel '{name}': vmtest/kernels has {known}")
    directory = cache_directory() / entry.name
    directory.mkdir(exist_ok=True)
    with locked(directory / "lock"):
        record = read_record(directory)
        if record is None or record["wanted"] != entry.version or refresh:
            try:
                record = fetch(directory, entry)
            except Failure as error:
                if record is None:
                    raise
                note(f"{error}\nvmtest: {entry.name}: going on with {record['version']}, which is"
                     " in the cache")
        verify(directory, record)
        if record["version"] != entry.version:
            note(f"{entry.name}: {record['package']} {record['version']}, not the pinned"
                 f" {entry.version}")
        tree = unpack(directory, record)
    modules = modules_directory(tree)
    return Kernel(entry.name, modules.name, record["version"], vmlinuz(tree, modules.name), modules)


def named(image, modules):
    """A kernel that the user has: a vmlinuz and its /lib/modules/RELEASE."""
    image, modules = pathlib.Path(image).resolve(), pathlib.Path(modules).resolve()
    if not image.is_file():
        raise Failure(f"--vmlinuz: {image} is not a file")
    if not (modules / "modules.dep").exists():
        raise Failure(f"--modules: {modules} has no modules.dep: name a /lib/modules/RELEASE")
    return Kernel(modules.name, modules.name, modules.name, image, modules)
