"""What the host can do: probed once, passed to everything that plans."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from zonectl.model import masks
from zonectl.model.capabilities import ALL

NAMESPACES = frozenset({"user", "mnt", "pid", "cgroup", "net", "uts", "ipc", "time"})
"""All kinds, as /proc/PID/ns names them."""


class CgroupLayout(Enum):
    """How the host's control groups are mounted (cgroups(7))."""

    UNIFIED = "unified"
    HYBRID = "hybrid"
    LEGACY = "legacy"


@dataclass(frozen=True, slots=True, kw_only=True)
class CgroupFacts:
    """Control groups: where version 2 is mounted, which controllers it has, and which are bound to version 1.

    `mount` is None where there is no cgroup2 mount. `base` is the group, relative to the mount and "" for its root,
    below which zonectl's own groups go (a delegated subtree, or the root). `controllers` are those usable there;
    `v1` maps a controller bound to version 1 to its mount point. `io_weights` is False where the cost model is off for
    every disk (io.cost.qos): the kernel takes a group's io.weight then, and does nothing with it.
    """

    layout: CgroupLayout = CgroupLayout.LEGACY
    mount: str | None = None
    base: str = ""
    controllers: frozenset[str] = frozenset()
    v1: tuple[tuple[str, str], ...] = ()
    writable: bool = False
    nsdelegate: bool = False
    io_weights: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One thing that was tried: whether it works, what was seen, whether zones need it, and the remedy if not."""

    name: str
    ok: bool
    seen: str
    needed: bool
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """What the host can do. `kernel` is (major, minor); `namespaces` are the kinds that can be made.

    `page_sizes` are those of huge pages ("2MB"); `mqueue` says whether POSIX message queues are mounted at /dev/mqueue;
    `capabilities` are those that zonectl itself can have (the mask of its bounding set), `seccomp` whether there are
    filters of system calls, `maskable` which paths of `model.masks` the kernel has.
    """

    kernel: tuple[int, int] = (0, 0)
    release: str = ""
    euid: int = 0
    namespaces: frozenset[str] = NAMESPACES
    cgroup: CgroupFacts = field(default_factory=CgroupFacts)
    filesystems: frozenset[str] = frozenset()
    online_cpus: str = ""
    page_sizes: tuple[str, ...] = ()
    mqueue: bool = False
    capabilities: int = ALL
    seccomp: bool = True
    maskable: frozenset[str] = frozenset(masks.KEPT)
    probes: tuple[Probe, ...] = ()
