"""What /proc tells about processes. A process may vanish at any moment: then None, or nothing in it."""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from zonectl.kernel.libc import failed

if TYPE_CHECKING:
    from io import FileIO

# EINVAL: a zombie, which has no mounts any more.
_GONE: Final = {errno.ENOENT, errno.ESRCH, errno.EACCES, errno.EPERM, errno.EINVAL}
_NAMESPACE_ID: Final = re.compile(r"\w+:\[(\d+)\]")
_OCTAL: Final = re.compile(r"\\([0-7]{3})")
_LIMIT_NAME: Final = 26
"""Columns of the name in /proc/PID/limits."""


@dataclass(frozen=True, slots=True)
class SignalMasks:
    """Signals of a process as masks: bit n-1 is signal n (proc_pid_status(5))."""

    caught: int
    ignored: int
    blocked: int

    def handles(self, sig: int) -> bool:
        """Whether the process has a handler for `sig`."""
        return bool(self.caught >> (sig - 1) & 1)

    def blocks(self, sig: int) -> bool:
        """Whether `sig` is held back for the process, which may read it from a signalfd(2) as systemd does."""
        return bool(self.blocked >> (sig - 1) & 1)

    def ignores(self, sig: int) -> bool:
        """Whether the process has asked to ignore `sig`."""
        return bool(self.ignored >> (sig - 1) & 1)


@dataclass(frozen=True, slots=True)
class CapabilitySets:
    """The five sets of capabilities(7) of a process, as masks."""

    inheritable: int
    permitted: int
    effective: int
    bounding: int
    ambient: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MountEntry:
    """One line of mountinfo, proc_pid_mountinfo(5); `root` is what of the file system is mounted at `target`."""

    id: int
    parent_id: int
    major: int
    minor: int
    root: str
    target: str
    options: tuple[str, ...]
    propagation: tuple[str, ...]
    fstype: str
    source: str
    super_options: tuple[str, ...]


def read(pid: int | str, name: str, *, limit_bytes: int | None = None) -> str | None:
    """The text of /proc/PID/`name`; None when the process is gone, a zombie that has none, or hidden from us.

    With `limit_bytes` no more of it: what a zone can make long (its mounts, 100,000 of them) the kernel writes only as
    far as it is read.
    """
    try:
        with open(f"/proc/{pid}/{name}", "rb", buffering=0) as file:
            return os.fsdecode((file.readall() if limit_bytes is None else _head(file, limit_bytes)) or b"")
    except OSError as error:
        if error.errno in _GONE:
            return None
        raise failed("read", error, f"/proc/{pid}/{name}") from error


def _head(file: FileIO, limit_bytes: int) -> bytes:
    content = bytearray()
    while len(content) < limit_bytes and (more := file.read(limit_bytes - len(content))):
        content += more
    return bytes(content)


def start_ticks(pid: int) -> int | None:
    """When the process started, in clock ticks since boot: with the pid and the boot id it names one process."""
    fields = _stat_fields(pid)
    return int(fields[19]) if fields else None


def parent_pid(pid: int) -> int | None:
    """The parent of the process, 0 for one outside of our pid namespace."""
    fields = _stat_fields(pid)
    return int(fields[1]) if fields else None


def process_state(pid: int) -> str | None:
    """One letter as ps(1) shows it: R S D Z T t X I."""
    fields = _stat_fields(pid)
    return fields[0] if fields else None


def has_memory(pid: int) -> bool:
    """Whether the process has an address space still: one that ends gives it up before its descriptors (do_exit())."""
    try:
        os.readlink(f"/proc/{pid}/exe")
    except FileNotFoundError:
        return False
    return True


def command_name(pid: int) -> str | None:
    """The name of what the process has executed, or has called itself (proc_pid_comm(5)): at most 15 bytes.

    A zombie has the name that it ended with. None when it is gone.
    """
    text = read(pid, "stat")
    return text[text.index("(") + 1 : text.rindex(")")] if text else None


def root_of(pid: int) -> int | None:
    """Which user of ours is root of the process's user namespace (user_namespaces(7)); None when it is gone."""
    for line in (read(pid, "uid_map") or "").splitlines():
        inside, outside, _count = map(int, line.split())
        if inside == 0:
            return outside
    return None


def nice(pid: int) -> int | None:
    """The nice value of the process; None when it is gone."""
    fields = _stat_fields(pid)
    return int(fields[16]) if fields else None


def _stat_fields(pid: int) -> list[str] | None:
    """Fields 3 (state) and later of /proc/PID/stat; field 2, the name, may itself hold ") " (proc_pid_stat(5))."""
    text = read(pid, "stat")
    return text.rpartition(")")[2].split() if text else None


def boot_id() -> str:
    """The kernel's name for this boot (random(4)), 36 characters."""
    with open("/proc/sys/kernel/random/boot_id", "rb", buffering=0) as file:
        return file.read(64).decode().strip()


def status_fields(pid: int | str) -> dict[str, str]:
    """The lines of /proc/PID/status by name; empty when the process is gone."""
    # Not splitlines: a process may name itself with what that takes for the end of a line.
    lines = (line.partition(":") for line in (read(pid, "status") or "").split("\n"))
    return {name: value.strip() for name, colon, value in lines if colon}


def signal_masks(pid: int) -> SignalMasks | None:
    """Which signals the process catches, ignores, blocks; None when it is gone."""
    fields = status_fields(pid)
    if not fields:
        return None
    return SignalMasks(*(int(fields[name], 16) for name in ("SigCgt", "SigIgn", "SigBlk")))


def capability_sets(pid: int | str) -> CapabilitySets | None:
    """The capabilities of the process; None when it is gone."""
    fields = status_fields(pid)
    if not fields:
        return None
    return CapabilitySets(*(int(fields[f"Cap{name}"], 16) for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")))


def resource_limits(pid: int | str) -> dict[str, tuple[int | None, int | None]]:
    """Soft and hard limits of the process by the kernel's words ("Max open files"); None is no limit.

    getrlimit(2) has their meaning, proc_pid_limits(5) the file. Empty when the process is gone.
    """
    lines = (read(pid, "limits") or "").split("\n")[1:]
    return {
        line[:_LIMIT_NAME].rstrip(): (_limit(fields[0]), _limit(fields[1]))
        for line in lines
        if len(fields := line[_LIMIT_NAME:].split()) > 1
    }


def _limit(text: str) -> int | None:
    return None if text == "unlimited" else int(text)


def namespace_ids(pid: int | str) -> dict[str, int]:
    """Inode numbers of the process's namespaces by kind ("mnt", "pid", …); those that can be read (namespaces(7))."""
    try:
        kinds = os.listdir(f"/proc/{pid}/ns")
    except OSError:
        return {}
    found = {kind: namespace_id(pid, kind) for kind in kinds}
    return {kind: number for kind, number in found.items() if number is not None}


def namespace_id(pid: int | str, kind: str) -> int | None:
    """The inode number of the process's namespace of that kind; None where it is gone, hidden, or a zombie."""
    try:
        match = _NAMESPACE_ID.fullmatch(os.readlink(f"/proc/{pid}/ns/{kind}"))
    except OSError:
        return None
    return int(match[1]) if match else None


def cgroup_of(pid: int | str) -> str | None:
    """The process's cgroup v2 group, as an absolute path in our cgroup namespace; None when gone or without one."""
    for line in (read(pid, "cgroup") or "").split("\n"):
        if line.startswith("0::"):
            return line[3:].removesuffix(" (deleted)")
    return None


def children(pid: int) -> list[int]:
    """Children of all threads of the process, as far as they can be seen (proc_tid_children(5))."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    return [
        int(child) for thread in threads for child in (read(pid, f"task/{thread}/children") or "").split()
    ]


def descendants(pid: int) -> list[int]:
    """All processes below `pid`, parents before children."""
    found: list[int] = []
    for child in children(pid):
        found += [child, *descendants(child)]
    return found


def mountinfo(pid: int | str = "self", *, limit_bytes: int | None = None) -> list[MountEntry]:
    """The mounts that the process sees, in the kernel's order (oldest first); empty when it is gone.

    With `limit_bytes` those that fit in so much of the file.
    """
    text = read(pid, "mountinfo", limit_bytes=limit_bytes) or ""
    return [parse_mount(line) for line in text.rpartition("\n")[0].split("\n") if line]


# Every command reads those of the host, which are the same for days; a zone's push them out, and cannot grow it.
@lru_cache(maxsize=128)
def parse_mount(line: str) -> MountEntry:
    """One line of mountinfo: 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue."""
    head, _separator, tail = line.partition(" - ")
    id_, parent_id, device, root, target, options, *propagation = head.split(" ")
    fstype, source, super_options = tail.split(" ")
    major, _colon, minor = device.partition(":")
    return MountEntry(
        id=int(id_),
        parent_id=int(parent_id),
        major=int(major),
        minor=int(minor),
        root=decode_octal(root),
        target=decode_octal(target),
        options=tuple(options.split(",")),
        propagation=tuple(propagation),
        fstype=decode_octal(fstype),
        source=decode_octal(source),
        super_options=tuple(decode_octal(option) for option in super_options.split(",")),
    )


def decode_octal(text: str) -> str:
    r"""Undo the kernel's escapes: \040 space, \011 tab, \012 newline, \134 backslash."""
    if "\\" not in text:
        return text
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)
