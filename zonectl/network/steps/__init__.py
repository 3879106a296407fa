"""Which steps connect a zone. Pure: configuration in, frozen steps out; the room's other modules carry them out."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING

from zonectl.model.config import NetworkMode
from zonectl.model.instance import link_name
from zonectl.network.addresses import bridge_mac, zone_mac
from zonectl.network.steps.gate import EnsureGate, gate_of
from zonectl.network.steps.host import EnsureBridge, EnsureForwarding, EnsureTable, MakeVeth, SharedStep
from zonectl.network.steps.inside import (
    DefaultRoute,
    DisableIpv6,
    FixIpv6,
    InsideStep,
    LinkUp,
    LoopbackUp,
    SetAddress,
)

if TYPE_CHECKING:
    from zonectl.model.config import NetworkConfig
    from zonectl.model.instance import Instance
    from zonectl.model.steps import Binding

__all__ = [
    "DefaultRoute",
    "DisableIpv6",
    "EnsureBridge",
    "EnsureForwarding",
    "EnsureGate",
    "EnsureTable",
    "FixIpv6",
    "InsideStep",
    "LinkUp",
    "LoopbackUp",
    "MakeVeth",
    "SetAddress",
    "SharedStep",
    "gate_of",
    "host_steps",
    "inside_steps",
    "mark",
    "owner_mark",
    "shared_steps",
]


def mark(instance: Instance, *, nat: bool) -> str:
    """What the instance signs its bridges with (IFLA_IFALIAS): "zonectl:INST:nat" or "zonectl:INST:routed"."""
    return f"{owner_mark(instance)}{'nat' if nat else 'routed'}"


def owner_mark(instance: Instance) -> str:
    """What every mark of the instance begins with, and none of another."""
    return f"zonectl:{instance.id}:"


def shared_steps(config: NetworkConfig, instance: Instance) -> tuple[SharedStep, ...]:
    """What the zones of an instance share on the host, made where it is missing."""
    if config.mode is not NetworkMode.VETH:
        return ()
    subnet = ip_network(config.subnet)
    mac = bridge_mac(instance.table, config.bridge)
    return (
        EnsureBridge(
            bridge=config.bridge,
            address=f"{config.router}/{subnet.prefixlen}",
            mac=mac,
            mark=mark(instance, nat=config.nat),
        ),
        gate_of(instance, config.bridge, config.subnet),
        EnsureForwarding(family=f"ipv{subnet.version}"),
        EnsureTable(
            table=instance.table, bridge=config.bridge, mac=mac, owner=owner_mark(instance), nat=config.nat
        ),
    )


def host_steps(config: NetworkConfig, instance: Instance, binding: Binding) -> tuple[MakeVeth, ...]:
    """What the host does for one zone; nothing of it outlives the zone's network namespace."""
    del instance  # the zone's id is enough of a name
    if config.mode is not NetworkMode.VETH:
        return ()
    return (
        MakeVeth(
            link=link_name(binding.zone_id),
            bridge=config.bridge,
            mac=_mac(binding.address),
            isolated=config.isolated,
            mtu=config.mtu,
        ),
    )


def inside_steps(config: NetworkConfig, binding: Binding) -> tuple[InsideStep, ...]:
    """What init does in its own network namespace."""
    match config.mode:
        case NetworkMode.HOST:
            return ()
        case NetworkMode.NONE:
            return (LoopbackUp(),)
        case NetworkMode.VETH:
            return (
                LoopbackUp(),
                FixIpv6() if ip_network(config.subnet).version == 6 else DisableIpv6(),  # noqa: PLR2004
                SetAddress(address=binding.address),
                LinkUp(),
                DefaultRoute(gateway=binding.gateway),
            )


def _mac(address: str) -> str:
    return "<mac: of the address>" if address.startswith("<") else zone_mac(address)
