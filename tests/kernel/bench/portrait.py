"""A probe as the kernel shows it while it runs: what it shares with the host, and what it may do."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass, fields
from pathlib import Path

from tests.kernel.forked import spawn
from zonectl.bench.site import BIND_INSIDE
from zonectl.errors import SyscallError
from zonectl.kernel import bpf, mount, proc, process
from zonectl.model.masks import KEPT

_KINDS = ("mnt", "pid", "uts", "ipc", "user", "net", "cgroup", "time")
_LIMITS = ("cpu.max", "memory.max", "pids.max")
_STATUS = ("CapBnd", "CapEff", "NoNewPrivs", "Seccomp", "Cpus_allowed_list", "Umask")


@dataclass(frozen=True, kw_only=True)
class Portrait:
    """What is compared: each field with its name of the layer that changes it."""

    namespaces: tuple[str, ...]
    changed_root: bool
    root_fstype: str
    root_idmapped: bool
    kernel_mounts: tuple[str, ...]
    masked: tuple[str, ...]
    sysfs_of_its_own: bool
    uid_map: str
    links: tuple[str, ...]
    group: bool
    limits: tuple[str, ...]
    device_programs: int
    locked: bool
    seccomp: str
    capabilities: str
    # What must be the same everywhere:
    syncs: bool
    no_new_privs: str
    processor: str
    umask: str
    nice: int | None
    ceilings: str
    environment: tuple[str, ...]
    program: str
    descriptors: tuple[str, ...]
    session_leader: bool
    arguments: tuple[str, ...]

    def differs_from(self, other: Portrait) -> set[str]:
        """The fields in which the two differ."""
        return {f.name for f in fields(self) if getattr(self, f.name) != getattr(other, f.name)}


def portray(pid: int) -> Portrait:
    """The probe `pid`, which is a child of this process. Some of what it has mounted is lost."""
    own, hosts = proc.namespace_ids(pid), proc.namespace_ids("self")
    separate = tuple(kind for kind in _KINDS if own[kind] != hosts[kind])
    entries = {entry.target: entry for entry in proc.mountinfo(pid)} if "mnt" in separate else {}
    status = proc.status_fields(pid)
    group, hosts_group = _group(pid), _group(os.getpid())
    # The limits stand above the group that the processes live in.
    limited = group.parent if group != hosts_group else None
    root = entries.get("/")
    return Portrait(
        namespaces=separate,
        changed_root=os.readlink(f"/proc/{pid}/root") != "/",
        root_fstype=root.fstype if root else "",
        root_idmapped=root is not None and "idmapped" in root.options,
        kernel_mounts=tuple(sorted({e.fstype for e in entries.values()} & {"proc", "devpts", "cgroup2"})),
        masked=tuple(path for path in KEPT if path in entries),
        sysfs_of_its_own="/sys" in entries and entries["/sys"].root == "/" and "net" in separate,
        uid_map=" ".join((proc.read(pid, "uid_map") or "").split()[2:]),
        links=_links(pid) if "net" in separate else ("the host's",),
        group=limited is not None,
        limits=tuple(limit for name in _LIMITS if limited and (limit := _limit(limited / name))),
        device_programs=_device_programs(limited) if limited else 0,
        locked="mnt" in separate and not _unmounts(pid, with_ids="user" in separate),
        seccomp=status["Seccomp"],
        capabilities=_capabilities(status),
        syncs=root is None or "volatile" not in root.super_options,
        no_new_privs=status["NoNewPrivs"],
        processor=status["Cpus_allowed_list"],
        umask=status["Umask"],
        nice=proc.nice(pid),
        ceilings=proc.read(pid, "limits") or "",
        environment=tuple(sorted((proc.read(pid, "environ") or "").split("\0"))),
        program=hashlib.sha256(Path(f"/proc/{pid}/exe").read_bytes()).hexdigest(),
        descriptors=tuple(sorted(_descriptor(pid, fd) for fd in os.listdir(f"/proc/{pid}/fd"))),
        session_leader=os.getsid(pid) == pid,
        arguments=tuple((proc.read(pid, "cmdline") or "").split("\0")[1:]),
    )


def _capabilities(status: dict[str, str]) -> str:
    """A new user namespace begins with all that there are, also with those that this host's root lacks."""
    hosts = int(proc.status_fields("self")["CapBnd"], 16)
    assert status["CapBnd"] == status["CapEff"]
    return "all" if int(status["CapBnd"], 16) & hosts == hosts else status["CapBnd"]


def _group(pid: int) -> Path:
    (line,) = [line for line in (proc.read(pid, "cgroup") or "").splitlines() if line.startswith("0::")]
    (found,) = [entry.target for entry in proc.mountinfo() if entry.fstype == "cgroup2"][:1]
    return Path(found, line.removeprefix("0::/"))


def _limit(path: Path) -> str:
    text = path.read_text().strip() if path.exists() else ""
    return "" if text.startswith("max") else text


def _device_programs(group: Path) -> int:
    fd = os.open(group, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return len(bpf.device_programs(fd))
    finally:
        os.close(fd)


def _links(pid: int) -> tuple[str, ...]:
    lines = (proc.read(pid, "net/dev") or "").splitlines()[2:]
    return tuple(sorted(line.partition(":")[0].strip() for line in lines))


def _unmounts(pid: int, *, with_ids: bool) -> bool:
    """Whether root of the zone, with all capabilities, can unmount what it was given."""
    assert proc.namespace_ids(pid)["mnt"] != proc.namespace_ids("self")["mnt"]

    def attempt() -> int:
        kinds = process.CLONE_NEWNS | (process.CLONE_NEWUSER if with_ids else 0)
        process.setns(process.pidfd_open(pid), kinds)
        try:
            mount.umount(BIND_INSIDE, mount.MNT_DETACH)
        except SyscallError:
            return 1
        return 0

    ended = process.wait_pidfd(spawn(attempt))
    assert ended is not None
    assert ended.status in {0, 1}
    return ended.status == 0


def _descriptor(pid: int, number: str) -> str:
    found = os.stat(f"/proc/{pid}/fd/{number}")
    return f"{number} {stat.S_IFMT(found.st_mode):o} {found.st_rdev}"
