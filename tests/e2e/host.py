"""The host before and after: mounts, links, firewall, groups, namespaces, processes, descriptors and files.

Other programs of the host go on meanwhile, other instances of zonectl among them. What carries the mark of another
instance is theirs. Of processes, and of the namespaces that they keep, those count that descend from this one or carry
our mark; of links and files those that are named as zonectl names them, but for the default instance's. In CI, where
the host is the tests' alone, everything counts, and every process that has lost its parent and is in a namespace that
was not there before.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from dataclasses import dataclass, fields
from pathlib import Path

from tests.patience import until
from tests.requirements import cgroup2_mount
from zonectl.model.instance import Instance
from zonectl.network.steps import gate

PATIENCE_S = 60.0
"""The kernel takes the networks of hundreds of zones away one after the other."""

_KINDS = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")
_FOLDERS = ("/run", "/run/zonectl", "/var/lib/zonectl", "/dev/shm")
_ALONE = bool(os.environ.get("CI"))
_DEFAULT = "zonectl"
"""The group and the folders of the default instance, which bears no mark, and which no test is."""
_PORT = re.compile(r"z[0-9a-f]{8}[a-z]\b")
_LINK = re.compile(rf"zbr|{_PORT.pattern}")
_OTHERS = re.compile(r"zonectl[-_:](?!test\b)([0-9a-f]{6})\b")


@dataclass(frozen=True)
class Process:
    """One line of the table of processes."""

    pid: int
    start: int
    parent: int
    group: str
    words: str
    namespaces: frozenset[str]


@dataclass(frozen=True)
class Snapshot:
    """What was there; each field a set of lines that are to be the same afterwards."""

    mounts: frozenset[str]
    links: frozenset[str]
    addresses: frozenset[str]
    firewall: frozenset[str]
    groups: frozenset[str]
    files: frozenset[str]
    descriptors: frozenset[str]
    processes: frozenset[str]
    namespaces: frozenset[str]

    def difference(self, after: Snapshot) -> list[str]:
        """What is there in one of both only."""
        lines = []
        for each in fields(self):
            was, is_now = getattr(self, each.name), getattr(after, each.name)
            lines += [f"{each.name}: gone: {line}" for line in sorted(was - is_now)]
            lines += [f"{each.name}: left: {line}" for line in sorted(is_now - was)]
        return lines


class Host:
    """The host as the instance whose state is below `folder` finds it; made before anything of the instance is.

    Links whose names begin with `bridge` are the instance's, or the test's.
    """

    def __init__(self, folder: Path, *, bridge: str) -> None:
        self._folder = str(folder)
        self._bridge = bridge
        self._mark = Instance(root=f"{folder}/root").id
        until(lambda: not _dying_links(), what="a zone has ended, and its link stays")
        self._known = _all_namespaces()
        self._before = self.snapshot()

    def snapshot(self) -> Snapshot:
        """What is there now."""
        processes = [each for each in table() if self._is_ours(each)]
        ours = {name for each in processes for name in each.namespaces}
        return Snapshot(
            mounts=frozenset(self._mounts()),
            links=frozenset(self._links()),
            addresses=frozenset(self._addresses()),
            firewall=frozenset(self._firewall()),
            groups=frozenset(self._groups()),
            files=frozenset(_files()),
            descriptors=frozenset(_descriptors()),
            processes=frozenset(f"{each.pid} {each.start} {each.words}" for each in processes),
            namespaces=frozenset(ours - self._known),
        )

    def check(self) -> None:
        """See that the host is as it was; the kernel reaps network namespaces a little later."""
        deadline = time.monotonic() + PATIENCE_S
        while left := self._before.difference(self.snapshot()):
            assert time.monotonic() < deadline, "the host has changed:\n" + "\n".join(left)
            time.sleep(0.1)

    def changes(self) -> list[str]:
        """What is different right now."""
        return self._before.difference(self.snapshot())

    def _is_theirs(self, text: str) -> bool:
        return any(mark != self._mark for mark in _OTHERS.findall(text)) or "zonectl-test" in text

    def _is_ours(self, process: Process) -> bool:
        if process.pid == os.getpid():
            return False
        if self._folder in process.words or self._mark in process.group:
            return True
        if self._is_theirs(process.group) or "zoned start" in process.words:
            return False
        orphan = process.parent == 1 and _ALONE
        return _descends(process.pid) or (orphan and bool(process.namespaces - self._known))

    def _mounts(self) -> list[str]:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
        if not _ALONE:
            lines = [line for line in lines if self._folder in line or "zonectl" in line]
        # Without the numbers of mount and parent, and without the peer group.
        return [" ".join(line.split(" - ")[0].split()[2:6]) + line.partition(" - ")[2] for line in lines]

    def _links(self) -> list[str]:
        links = json.loads(_output("ip", "-json", "-details", "link"))
        aliases = {link["ifname"]: link.get("ifalias", "") for link in links}
        return [
            f"{link['ifindex']} {link['ifname']} {link.get('master', '')} {link.get('ifalias', '')}"
            for link in links
            if self._counts(link["ifname"])
            if not self._is_theirs(link.get("ifalias", "") + aliases.get(link.get("master", ""), ""))
        ]

    def _counts(self, link: str) -> bool:
        return _ALONE or link.startswith(self._bridge) or bool(_LINK.match(link))

    def _addresses(self) -> list[str]:
        links = json.loads(_output("ip", "-json", "-details", "address"))
        return [
            f"{link['ifname']} {info['local']}/{info['prefixlen']}"
            for link in links
            if self._counts(link["ifname"])
            if not self._is_theirs(link.get("ifalias", ""))
            for info in link["addr_info"]
        ]

    def _firewall(self) -> list[str]:
        tables = _output("nft", "list", "tables").splitlines()
        kept = [table for table in tables if not self._is_theirs(table)]
        rules = [_output("nft", "--stateless", "list", *table.split(), quiet=True) for table in kept]
        return [*rules, *self._routing()]

    def _routing(self) -> list[str]:
        ours, default = (
            f"lookup {gate.tag(each)} " for each in (Instance(root=f"{self._folder}/root"), Instance())
        )
        found = [line for way in ("-4", "-6") for line in _output("ip", way, "rule").splitlines()]
        return [
            line
            for line in found
            if ours in line or (_ALONE and (default in line or f"proto {gate.PROTOCOL}" not in line))
        ]

    def _groups(self) -> list[str]:
        mount = cgroup2_mount()
        assert mount is not None
        found = (os.path.relpath(folder, mount) for folder, _, _ in os.walk(mount))
        return [
            name
            for name in found
            if "zonectl" in name and not self._is_theirs(name)
            if _ALONE or name.partition("/")[0] != _DEFAULT
        ]


def table() -> list[Process]:
    """Every process that can be read; a zombie counts, a thread of the kernel does not."""
    return [found for entry in os.listdir("/proc") if entry.isdecimal() and (found := _process(int(entry)))]


def _process(pid: int) -> Process | None:
    try:
        after_name = (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
        )
        state = after_name.split()
        if state[1] == "2" or pid == 2:
            return None
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        groups = Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return Process(
        pid=pid,
        start=int(state[19]),
        parent=int(state[1]),
        group=groups.rpartition("0::")[2].strip(),
        words=words,
        namespaces=frozenset(_namespaces(pid)),
    )


def _namespaces(pid: int) -> list[str]:
    found = []
    for kind in _KINDS:
        try:
            found.append(os.readlink(f"/proc/{pid}/ns/{kind}"))
        except OSError:  # it has ended; a zombie has none
            return []
    return found


def _all_namespaces() -> frozenset[str]:
    return frozenset(name for each in table() for name in each.namespaces)


def _descends(pid: int) -> bool:
    while pid > 1:
        if pid == os.getpid():
            return True
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return False
        pid = int(stat.rpartition(")")[2].split()[1])
    return False


def _dying_links() -> list[str]:
    """Links of zones that no bridge has any more: the kernel removes one some time after its zone's namespace.

    Without a bridge, nothing says whose they are.
    """
    links = (link for link in Path("/sys/class/net").iterdir() if _PORT.fullmatch(link.name))
    return [link.name for link in links if not (link / "master").exists()]


def _files() -> list[str]:
    found = []
    for folder in _FOLDERS:
        if os.path.isdir(folder):
            found += [
                f"{folder}/{name}" for name in os.listdir(folder) if _ALONE or _may_be_ours(folder, name)
            ]
    return found


def _may_be_ours(folder: str, name: str) -> bool:
    return "zonectl" in name and name != _DEFAULT and os.path.basename(folder) != _DEFAULT


def _descriptors() -> list[str]:
    found = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.append(f"{fd} {os.readlink(f'/proc/self/fd/{fd}')}")
        except FileNotFoundError:  # that of the listing itself
            continue
    return found


def _output(*argv: str, quiet: bool = False) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert quiet or done.returncode == 0, done.stderr
    return done.stdout
