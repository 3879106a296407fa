"""Which steps give a zone its /proc, /sys and /dev: file systems of the kernel's, masked, and device nodes. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.model.devices import NODES
from zonectl.namespaces.steps.contents import MakeDevices, MountFilesystem
from zonectl.namespaces.steps.masks import mask_step
from zonectl.namespaces.steps.mounts import PlaceTree

if TYPE_CHECKING:
    from zonectl.model.config import ZoneConfig
    from zonectl.model.facts import HostFacts
    from zonectl.model.steps import Step

DEVICES = tuple(NODES)
"""The device nodes of every zone."""

_DEVICE_LINKS = (
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
)
_TERMINALS = "1024"
"""All instances of devpts share 4096 (kernel.pty.max), of which 1024 are kept for the host's."""

_SHARED_FILES = "16384"
"""Of /dev/shm; an empty file takes a kilobyte of the kernel's memory, and half of the memory would be the default."""

KERNEL_ATTRIBUTES = ("nosuid", "nodev", "noexec")
"""Of what shows the kernel itself."""


def kernel_steps(
    config: ZoneConfig, slots: dict[str, int], facts: HostFacts, *, own_net: bool
) -> tuple[Step, ...]:
    """The steps that mount /proc, /sys and /dev; `slots` are of the host's trees that are shown instead, by path."""
    return (
        MountFilesystem(fstype="proc", target="/proc", attributes=KERNEL_ATTRIBUTES),
        _sysfs(slots, own_net=own_net),
        *_masks(config, facts, own_net=own_net),
        *((_cgroup2(),) if facts.cgroup.mount else ()),
        MakeDevices(nodes=DEVICES, links=_DEVICE_LINKS, folders=("pts", "shm", "mqueue")),
        MountFilesystem(
            fstype="devpts",
            target="/dev/pts",
            options=(
                ("newinstance", ""),
                ("ptmxmode", "0666"),
                ("mode", "0620"),
                ("gid", "5"),
                ("max", _TERMINALS),
            ),
            attributes=("nosuid", "noexec"),
        ),
        MountFilesystem(
            fstype="tmpfs",
            target="/dev/shm",  # noqa: S108 - the zone's, not the host's
            options=(("mode", "1777"), ("size", "256m"), ("nr_inodes", _SHARED_FILES)),
            attributes=("nosuid", "nodev"),
        ),
        *_mqueue(config, slots),
    )


def _sysfs(slots: dict[str, int], *, own_net: bool) -> Step:
    # A sysfs shows the network namespace of its mounter, and a user namespace may mount one only for its own.
    if not own_net:
        return PlaceTree(slot=slots["/sys"], target="/sys", source="/sys")
    return MountFilesystem(fstype="sysfs", target="/sys", attributes=("rdonly", *KERNEL_ATTRIBUTES))


def _masks(config: ZoneConfig, facts: HostFacts, *, own_net: bool) -> tuple[Step, ...]:
    masked = mask_step(
        unmask=config.security.unmask,
        there=facts.maskable,
        own_ids=config.namespaces.user,
        own_net=own_net,
    )
    return (masked,) if masked else ()


def _cgroup2() -> Step:
    return MountFilesystem(fstype="cgroup2", target="/sys/fs/cgroup", attributes=KERNEL_ATTRIBUTES)


def _mqueue(config: ZoneConfig, slots: dict[str, int]) -> tuple[Step, ...]:
    if config.namespaces.ipc:
        return (MountFilesystem(fstype="mqueue", target="/dev/mqueue", attributes=KERNEL_ATTRIBUTES),)
    if "/dev/mqueue" not in slots:
        return ()
    return (PlaceTree(slot=slots["/dev/mqueue"], target="/dev/mqueue", source="/dev/mqueue"),)
