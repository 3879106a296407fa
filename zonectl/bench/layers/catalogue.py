"""What a zone's isolation consists of, layer by layer, in the order in which it was invented and is added here.

A layer is told by what a zone is without it: as a zone file would say that (`waive`), and where no zone file can, as a
plan from which something is taken (`thin`). A rung of the ladder is the zone without all the layers above it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from zonectl.bench.layers import thinning
from zonectl.model.config import (
    NamespacesConfig,
    NetworkConfig,
    NetworkMode,
    ResourcesConfig,
    RootConfig,
    RootMode,
)
from zonectl.model.masks import ALL as ALL_MASKS
from zonectl.model.seccomp import OFF

if TYPE_CHECKING:
    from collections.abc import Callable

    from zonectl.model.config import ZoneConfig
    from zonectl.planning import ZonePlan


def as_it_is(config: ZoneConfig) -> ZoneConfig:
    """The zone as it is."""
    return config


def as_planned(plan: ZonePlan) -> ZonePlan:
    """The plan as it is."""
    return plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One of them. `adds` is what a zone has with it, in a line."""

    name: str
    title: str
    adds: str
    waive: Callable[[ZoneConfig], ZoneConfig] = as_it_is
    thin: Callable[[ZonePlan], ZonePlan] = as_planned


def _shares(config: ZoneConfig, namespaces: NamespacesConfig) -> ZoneConfig:
    return replace(config, namespaces=namespaces)


def _shares_names(config: ZoneConfig) -> ZoneConfig:
    return _shares(replace(config, hostname=""), replace(config.namespaces, uts=False, ipc=False))


def _shares_ids(config: ZoneConfig) -> ZoneConfig:
    return _shares(config, replace(config.namespaces, user=False))


def _shares_network(config: ZoneConfig) -> ZoneConfig:
    shared = _shares(config, replace(config.namespaces, net=False))
    return replace(shared, network=NetworkConfig(mode=NetworkMode.HOST))


def _copies_root(config: ZoneConfig) -> ZoneConfig:
    """A copy of what the root is made of. The path of that is put in by whoever has made it."""
    if config.root.mode is RootMode.COPY:
        return config
    return replace(config, root=RootConfig(mode=RootMode.COPY, switch=config.root.switch))


def _has_no_limits(config: ZoneConfig) -> ZoneConfig:
    return replace(config, resources=ResourcesConfig(required=config.resources.required))


def _filters_nothing(config: ZoneConfig) -> ZoneConfig:
    return replace(config, security=replace(config.security, seccomp=OFF, nesting=False))


def _may_all(config: ZoneConfig) -> ZoneConfig:
    return replace(config, security=replace(config.security, capabilities=("all",)))


def _masks_nothing(config: ZoneConfig) -> ZoneConfig:
    return replace(config, security=replace(config.security, unmask=(ALL_MASKS,)))


def _waives_the_rest(config: ZoneConfig) -> ZoneConfig:
    clocks = replace(config.namespaces, time=False, boottime_offset_s=0.0, monotonic_offset_s=0.0)
    return replace(
        _shares(config, clocks),
        sysctl=(),
        security=replace(config.security, filter_devices=False, no_new_privs=False),
    )


def _thins_the_rest(plan: ZonePlan) -> ZonePlan:
    return thinning.without_locked_mounts(thinning.without_group_view(plan))


HOST: Final = Layer(
    name="host",
    title="bare metal, no group",
    adds="nothing: bare metal without the control group that it has as the zone's equal",
)
CHROOT: Final = Layer(
    name="chroot",
    title="chroot",
    adds="a copy of the zone's root as root directory",
    thin=thinning.without_chroot,
)
MNT: Final = Layer(
    name="mnt",
    title="mount namespace",
    adds="a mount namespace, pivot_root, its own /proc, /sys and /dev",
    thin=thinning.with_chroot_alone,
)
PID: Final = Layer(
    name="pid",
    title="pid namespace",
    adds="a pid namespace",
    thin=lambda plan: thinning.without_namespace(plan, "pid"),
)
NAMES: Final = Layer(
    name="uts-ipc",
    title="uts and ipc namespaces",
    adds="a host name, System V IPC and message queues of its own",
    waive=_shares_names,
)
USER: Final = Layer(
    name="user",
    title="user namespace",
    adds="a user namespace with ids of its own, and mounts that map them",
    waive=_shares_ids,
)
OVERLAY: Final = Layer(
    name="overlay",
    title="overlay",
    adds="an overlay for root in the place of a copy",
    waive=_copies_root,
)
CGROUP: Final = Layer(
    name="cgroup",
    title="control group",
    adds="a control group of its own, without limits",
    thin=thinning.without_group,
)
LIMITS: Final = Layer(name="limits", title="limits", adds="limits on the control group", waive=_has_no_limits)
NET: Final = Layer(
    name="net",
    title="network",
    adds="a network namespace: veth, bridge, address translation",
    waive=_shares_network,
)
SECCOMP: Final = Layer(
    name="seccomp", title="seccomp", adds="a filter of system calls", waive=_filters_nothing
)
CAPABILITIES: Final = Layer(
    name="capabilities", title="capabilities", adds="fewer capabilities", waive=_may_all
)
MASKS: Final = Layer(
    name="masks", title="masks", adds="masked and read-only paths in /proc and /sys", waive=_masks_nothing
)
REST: Final = Layer(
    name="rest",
    title="the rest",
    adds="the rest: cgroup and time namespaces, locked mounts, the device program",
    waive=_waives_the_rest,
    thin=_thins_the_rest,
)

LAYERS: Final = (
    HOST,
    CHROOT,
    MNT,
    PID,
    NAMES,
    USER,
    OVERLAY,
    CGROUP,
    LIMITS,
    NET,
    SECCOMP,
    CAPABILITIES,
    MASKS,
    REST,
)
"""From the lowest. With the last one the zone is as its file says."""

HARMLESS: Final = ResourcesConfig(cpus=2.0, memory_bytes=1 << 30, pids=4096)
"""Limits for a zone that has none: twice as much processor as one processor has, and memory for what is measured."""
