"""The plan of a start: every step in the order in which it will be carried out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zonectl.cgroups import steps as cgroup_steps
from zonectl.model.config import NetworkMode
from zonectl.model.instance import zone_cgroup
from zonectl.namespaces import steps as namespace_steps
from zonectl.namespaces.steps.sysctls import sysctl_steps
from zonectl.network import dns
from zonectl.network import steps as network_steps
from zonectl.planning import protections
from zonectl.security import steps as security_steps

if TYPE_CHECKING:
    from zonectl.cgroups.steps.kinds import CgroupStep, FilterDevices
    from zonectl.model.config import ZoneConfig
    from zonectl.model.facts import HostFacts
    from zonectl.model.instance import Instance
    from zonectl.model.seccomp import Filter
    from zonectl.model.steps import Binding, Step
    from zonectl.namespaces.steps.mounts import CloneTree
    from zonectl.namespaces.steps.nodes import MakeNodes
    from zonectl.namespaces.steps.process import CloneInit, WriteIdMap
    from zonectl.network.steps import MakeVeth, SharedStep
    from zonectl.security.steps import Execute, Rank, Restrict


@dataclass(frozen=True, slots=True, kw_only=True)
class ZonePlan:
    """The steps of a start, in order.

    The worker does `shared` (what the instance's zones have in common, where it is missing), `before` (what has to be
    there before init is), `clone`, what needs init's namespaces: `maps`, `trees` and `links`, and, while init is at
    work, `devices` and `rank`. Init does `inside`, the network's part of it when the links are there, `restrict` and
    `execute`. `cgroup` is the group that init is born in, "" for none.
    """

    shared: tuple[SharedStep, ...]
    before: tuple[CgroupStep, ...]
    clone: CloneInit
    maps: tuple[WriteIdMap, ...]
    trees: tuple[CloneTree | MakeNodes, ...]
    links: tuple[MakeVeth, ...]
    devices: tuple[FilterDevices, ...]
    inside: tuple[Step, ...]
    rank: Rank
    restrict: Restrict
    execute: Execute
    cgroup: str
    warnings: tuple[str, ...]

    @property
    def steps(self) -> tuple[Step, ...]:
        """All of them."""
        host = (*self.shared, *self.before, self.clone, *self.maps, *self.trees, *self.links)
        return *host, *self.devices, self.rank, *self.inside, self.restrict, self.execute


def plan(
    config: ZoneConfig,
    facts: HostFacts,
    instance: Instance,
    *,
    binding: Binding,
    seccomp: Filter | None,
    resolv_conf: str = "",
    volatile: bool = False,
) -> ZonePlan:
    """The plan of a start of the zone of `config`, with what `binding` knows of it.

    `resolv_conf` is the text of the host's own resolv.conf(5); `volatile` is set for roots that are thrown away,
    `seccomp` the filter that the zone file asks for.

    Raises:
        HostLacks: the host cannot enforce a limit of the zone file, or lacks a protection that it does not waive.

    """
    protections.require(config, facts)
    group = zone_cgroup(instance, binding.zone_id) if facts.cgroup.mount else ""
    limits, warnings = cgroup_steps.steps(
        config.resources, facts.cgroup, group=group, owner=_owner(config, binding)
    )
    files = _files(config, binding, resolv_conf)
    inside = namespace_steps.inside_steps(config, binding, facts, files=files, volatile=volatile)
    veth = config.network.mode is NetworkMode.VETH
    wired = network_steps.inside_steps(config.network, binding) if "net" in _kinds(config) else ()
    settings = sysctl_steps(config.sysctl)
    return ZonePlan(
        shared=network_steps.shared_steps(config.network, instance) if veth else (),
        before=limits,
        clone=namespace_steps.clone_step(config, binding, cgroup=f"{group}/payload" if group else ""),
        maps=namespace_steps.id_map_steps(config, binding),
        trees=namespace_steps.tree_steps(config, binding, facts),
        links=network_steps.host_steps(config.network, instance, binding) if veth else (),
        devices=cgroup_steps.device_steps(config, facts.cgroup, group=group),
        inside=(
            security_steps.JoinKeyring(),
            *namespace_steps.first_steps(config),
            *inside,
            *wired,
            *settings,
            *namespace_steps.switch_steps(config),
        ),
        rank=security_steps.rank_step(config),
        restrict=security_steps.restrict_step(config, facts, seccomp=seccomp),
        execute=security_steps.execute_step(config),
        cgroup=f"{group}/payload" if group else "",
        warnings=warnings,
    )


def warnings(config: ZoneConfig, facts: HostFacts) -> tuple[str, ...]:
    """What `plan` would warn of, and refuses as it does; cheaper, for a zone that has no names yet.

    Raises:
        HostLacks: the host cannot enforce a limit of the zone file, or lacks a protection that it does not waive.

    """
    protections.require(config, facts)
    return cgroup_steps.steps(config.resources, facts.cgroup, group="", owner=None)[1]


def _kinds(config: ZoneConfig) -> tuple[str, ...]:
    return namespace_steps.namespace_kinds(config)


def _owner(config: ZoneConfig, binding: Binding) -> str | None:
    return binding.first_id if config.namespaces.user else None


def _files(config: ZoneConfig, binding: Binding, resolv_conf: str) -> tuple[tuple[str, str], ...]:
    name = config.hostname or config.name
    address = binding.address.partition("/")[0] if config.network.mode is NetworkMode.VETH else ""
    return (
        ("/etc/hostname", f"{name}\n"),
        ("/etc/hosts", dns.hosts(name, address or None)),
        ("/etc/resolv.conf", dns.resolv_conf(config.network, resolv_conf)),
    )
