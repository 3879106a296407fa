"""Trials of control groups version 2; cgroups(7)."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from zonectl.errors import HostLacks
from zonectl.kernel import bpf, process, trial
from zonectl.model.facts import Probe

if TYPE_CHECKING:
    from collections.abc import Callable

    from zonectl.model.facts import CgroupFacts, HostFacts

CONTROLLERS: Final = ("cpu", "memory", "pids", "io", "cpuset", "hugetlb")

_NOTHING: Final = b"\xb4" + bytes(7) + b"\x95" + bytes(7)
"""The program that answers 0 (linux/bpf.h)."""

_V1_NAMES: Final = {"io": "blkio"}
_UNIFIED: Final = "boot with systemd.unified_cgroup_hierarchy=1 cgroup_no_v1=all"


def probes(facts: HostFacts) -> tuple[Probe, ...]:
    """Whether groups can be made, entered, frozen and killed, and which controllers they have."""
    cgroup = facts.cgroup
    return (
        _group(cgroup, "cgroup2", lambda folder: f"groups can be made in {os.path.dirname(folder)}"),
        _group(cgroup, "cgroup entry", _enter),
        _group(cgroup, "cgroup.freeze", lambda folder: _has(folder, "cgroup.freeze")),
        _group(cgroup, "cgroup.kill", lambda folder: _has(folder, "cgroup.kill")),
        _group(cgroup, "device program", _filter_devices),
        *(_controller(cgroup, name) for name in CONTROLLERS),
    )


def _group(cgroup: CgroupFacts, name: str, use: Callable[[str], str]) -> Probe:
    """Make a group of our own and `use` its folder."""

    def attempt() -> str:
        if cgroup.mount is None:
            raise HostLacks("no cgroup2 is mounted")
        folder = os.path.join(cgroup.mount, cgroup.base, f"zonectl-probe-{os.getpid()}")
        os.mkdir(folder)
        try:
            return use(folder)
        finally:
            with suppress(OSError):
                os.rmdir(folder)

    remedy = "mount -t cgroup2 cgroup2 /sys/fs/cgroup, or have a subtree delegated (Delegate=yes of systemd)"
    return trial.in_child(attempt).probe(name, needed=True, remedy=remedy)


def _enter(folder: str) -> str:
    """Be born in the group."""
    group = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        pid, pidfd = process.clone(0, cgroup_fd=group)
    finally:
        os.close(group)
    if pid == 0:
        os._exit(0)
    process.wait_pidfd(pidfd)
    os.close(pidfd)
    return "CLONE_INTO_CGROUP works"


def _filter_devices(folder: str) -> str:
    """Attach the program that forbids all devices, and see."""
    loaded = bpf.load_device_program(_NOTHING, "zonectl_probe")
    group = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        bpf.attach_device_program(group, loaded)
        pid, pidfd = process.clone(0, cgroup_fd=group)
        if pid == 0:
            os._exit(0 if _opens("/dev/null") else 1)
        ended = process.wait_pidfd(pidfd)
        os.close(pidfd)
    finally:
        os.close(group)
        os.close(loaded)
    if ended is None or ended.status != 1:
        raise HostLacks("the kernel does not ask it")
    return "groups can be kept from devices"


def _opens(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY))
    except PermissionError:
        return False
    return True


def _has(folder: str, file: str) -> str:
    os.stat(os.path.join(folder, file))
    return "there"


def _controller(cgroup: CgroupFacts, name: str) -> Probe:
    ok = name in cgroup.controllers
    bound = dict(cgroup.v1).get(_V1_NAMES.get(name, name))
    return Probe(
        name=f"controller {name}",
        ok=ok,
        seen="usable" if ok else f"bound to version 1 at {bound}" if bound else "not there",
        needed=False,
        remedy="" if ok else _controller_remedy(cgroup, name, bound=bound is not None),
    )


def _controller_remedy(cgroup: CgroupFacts, name: str, *, bound: bool) -> str:
    if bound:
        return _UNIFIED
    if cgroup.base:
        return f"have {name} delegated to {cgroup.base} (Delegate=yes of systemd)"
    return f"a kernel with the {name} controller"
