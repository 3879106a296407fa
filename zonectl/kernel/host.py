"""Cheap facts about the host: read from /proc and /sys in a millisecond or two, without a fork, by anybody."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from zonectl.kernel import proc
from zonectl.model import masks
from zonectl.model.facts import CgroupFacts, CgroupLayout, HostFacts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zonectl.kernel.proc import MountEntry

HUGE_PAGES: Final = "/sys/kernel/mm/hugepages"

_V1_OPTIONS: Final = frozenset(
    {"rw", "ro", "all", "none", "clone_children", "cpuset_v2_mode", "favordynmods", "noprefix", "xattr"}
)
_RELEASE: Final = re.compile(r"(\d+)\.(\d+)")


def host_facts() -> HostFacts:
    """What the host has, without `probes`."""
    release = os.uname().release
    mounts = proc.mountinfo()
    return HostFacts(
        kernel=kernel_version(release),
        release=release,
        euid=os.geteuid(),
        namespaces=frozenset(filter(_can_be_made, _names("/proc/self/ns"))),
        cgroup=cgroup_facts(mounts, own=proc.cgroup_of("self")),
        filesystems=frozenset(line.split()[-1] for line in _text("/proc/filesystems").splitlines() if line),
        online_cpus=_text("/sys/devices/system/cpu/online").strip(),
        page_sizes=tuple(page_size(name) for name in sorted(_names(HUGE_PAGES), key=_pages_kib)),
        mqueue=any(mount.fstype == "mqueue" and mount.target == "/dev/mqueue" for mount in mounts),
        capabilities=_bounding(),
        seccomp=os.path.exists("/proc/sys/kernel/seccomp/actions_avail"),
        maskable=frozenset(filter(os.path.exists, masks.KEPT)),
    )


def _can_be_made(kind: str) -> bool:
    """Whether namespaces of that kind are not forbidden here: user.max_*_namespaces of namespaces(7)."""
    if kind.endswith("_for_children"):
        return False
    try:
        fd = os.open(f"/proc/sys/user/max_{kind}_namespaces", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return True
    try:
        return os.read(fd, 16) != b"0\n"
    finally:
        os.close(fd)


def _bounding() -> int:
    """The capabilities that this process and its children can have; none where /proc does not say."""
    sets = proc.capability_sets("self")
    return sets.bounding if sets else 0


def kernel_version(release: str) -> tuple[int, int]:
    """(major, minor) of a release such as "6.1.0-18-amd64"; (0, 0) for what does not look like one."""
    match = _RELEASE.match(release)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def page_size(name: str) -> str:
    """The size in a name of /sys/kernel/mm/hugepages as hugetlb names its files: "hugepages-2048kB" is "2MB"."""
    kib = _pages_kib(name)
    if kib >= 1 << 20:
        return f"{kib >> 20}GB"
    return f"{kib >> 10}MB" if kib >= 1 << 10 else f"{kib}KB"


def _pages_kib(name: str) -> int:
    return int(name.removeprefix("hugepages-").removesuffix("kB"))


def cgroup_facts(mounts: Iterable[MountEntry], *, own: str | None) -> CgroupFacts:
    """How control groups are mounted, and where ours go; `own` is the group that this process is in."""
    mounts = list(mounts)
    v1 = tuple(sorted(pair for mount in mounts if mount.fstype == "cgroup" for pair in _bound(mount)))
    unified = _cgroup2(mounts)
    if unified is None:
        return CgroupFacts(v1=v1)
    base = _base(unified, own)
    folder = os.path.join(unified.target, base)
    return CgroupFacts(
        layout=CgroupLayout.HYBRID if v1 else CgroupLayout.UNIFIED,
        mount=unified.target,
        base=base,
        controllers=frozenset(_text(f"{folder}/cgroup.controllers").split()),
        v1=v1,
        writable=_writable(folder),
        nsdelegate="nsdelegate" in unified.super_options,
        io_weights=_weighs_io(unified.target),
    )


def _weighs_io(mount: str) -> bool:
    """Whether io.weight does anything for some disk; True where the root group, which alone tells, is not seen."""
    costs = f"{mount}/io.cost.qos"
    return not os.path.exists(costs) or " enable=1" in _text(costs)


def _bound(mount: MountEntry) -> list[tuple[str, str]]:
    """The controllers of a version 1 mount, each with its place; a named hierarchy has none."""
    return [
        (option, mount.target)
        for option in mount.super_options
        if option not in _V1_OPTIONS and "=" not in option
    ]


def _cgroup2(mounts: Iterable[MountEntry]) -> MountEntry | None:
    """The mount that shows the most: of the hierarchy's root if there is one, the first otherwise.

    One whose folder is not there is covered by another mount, and cannot be reached.
    """
    found = [mount for mount in mounts if mount.fstype == "cgroup2" and os.path.isdir(mount.target)]
    return min(found, key=lambda mount: mount.root != "/", default=None)


def _base(unified: MountEntry, own: str | None) -> str:
    """Where our groups go: the mount's root if it is writable, our own group if that is delegated to us."""
    if _writable(unified.target) or own is None:
        return ""
    if unified.root != "/":
        own = "/" + os.path.relpath(own, unified.root)
    group = own.strip("/")
    inside = group and ".." not in group.split("/")
    return group if inside and _writable(os.path.join(unified.target, group)) else ""


def _writable(folder: str) -> bool:
    """Whether groups can be made in `folder` and processes moved there (cgroups(7), delegation)."""
    files = (folder, f"{folder}/cgroup.procs", f"{folder}/cgroup.subtree_control")
    return all(os.access(file, os.W_OK, effective_ids=True) for file in files)


def _text(path: str) -> str:
    try:
        with open(path, "rb", buffering=0) as file:
            return os.fsdecode(file.readall() or b"")
    except OSError:
        return ""


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
