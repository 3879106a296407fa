"""Bridges: taking stock, making, mending, removing. Off the way of a start, and by pyroute2.

Importing pyroute2 costs 110 ms, so that this module is imported when something is missing, not before.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_interface, ip_network
from typing import TYPE_CHECKING, Final

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from zonectl.errors import HostLacks, SyscallError
from zonectl.network import sysctl
from zonectl.network.addresses import bridge_mac

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ipaddress import IPv4Network, IPv6Network

    from zonectl.network.steps import EnsureBridge

_AF_INET: Final = 2
_AF_INET6: Final = 10
_IFA_F_NODAD: Final = 0x02
_IFF_UP: Final = 0x1
_OTHER_NAME: Final = "set network.bridge to another name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """A link that has a bridge's name, as it is; `kind` is empty for a physical one."""

    index: int
    name: str
    kind: str
    alias: str
    mac: str


def ours(owner: str) -> tuple[Bridge, ...]:
    """Every bridge whose mark begins with `owner`. The kernel filters by kind, so that ports cost nothing.

    Raises:
        SyscallError: rtnetlink refuses.

    """
    return tuple(bridge for bridge in _all() if bridge.alias.startswith(owner))


def _all() -> list[Bridge]:
    with _iproute("bridges") as route:
        found = [_bridge(message) for message in route.link("dump", kind="bridge")]
    return [bridge for bridge in found if bridge.kind == "bridge"]


def ports(owner: str) -> tuple[str, ...]:
    """The names of all links on the bridges whose mark begins with `owner`.

    Raises:
        SyscallError: rtnetlink refuses.

    """
    found = ours(owner)
    with _iproute("bridges") as route:
        return tuple(
            str(message.get("ifname"))
            for bridge in found
            for message in route.link("dump", master=bridge.index)
        )


def removable(owner: str, *, table: str) -> tuple[Bridge, ...]:
    """The bridges that `remove` would delete.

    Raises:
        SyscallError: rtnetlink refuses.

    """
    return tuple(bridge for bridge in _all() if bridge.alias.startswith(owner) or _is_unsigned(bridge, table))


def ensure(step: EnsureBridge) -> None:
    """Make the bridge, or mend what is missing of it.

    Signed at once after it is made; one whose maker was killed between the two is known by its link address.

    Raises:
        HostLacks: the link of that name is not this instance's bridge, is in use otherwise than the step says,
            or the subnet is in use on another link.
        SyscallError: rtnetlink or a setting refuses.

    """
    with _iproute(step.bridge) as route:
        bridge = _find(route, step.bridge)
        if bridge is None:
            _refuse_overlap(route, step, index=0)
            route.link(
                "add",
                ifname=step.bridge,
                kind="bridge",
                address=step.mac,
                br_stp_state=0,
                br_forward_delay=0,
                br_mcast_snooping=0,
            )
            bridge = _find(route, step.bridge)
        if bridge is None:
            raise HostLacks(f"the bridge {step.bridge} was deleted while it was made", hint="try again")
        _refuse_others(route, bridge, step)
        _mend(route, bridge.index, step)


def remove(owner: str, *, table: str) -> tuple[str, ...]:
    """Delete every bridge whose mark begins with `owner`, or that was not signed before its maker was killed.

    The latter is known by its link address, which is made from `table`. Returns their names.

    Raises:
        SyscallError: rtnetlink refuses.

    """
    found = removable(owner, table=table)
    with _iproute("bridges") as route:
        for bridge in found:
            route.link("del", index=bridge.index)
    return tuple(bridge.name for bridge in found)


def _is_unsigned(bridge: Bridge, table: str) -> bool:
    return not bridge.alias and bridge.mac == bridge_mac(table, bridge.name)


def _mend(route: IPRoute, index: int, step: EnsureBridge) -> None:
    route.link("set", index=index, ifalias=step.mark, address=step.mac)
    for path, value in step.sysctls:
        _set(path, value)
    wanted = ip_interface(step.address)
    family = _AF_INET6 if step.is_ipv6 else _AF_INET
    held = {
        f"{message.get('address')}/{message['prefixlen']}"
        for message in route.addr("dump", family=family, index=index)
    }
    if str(wanted) not in held:
        _refuse_overlap(route, step, index=index)
        flags = {"flags": _IFA_F_NODAD} if step.is_ipv6 else {}
        route.addr(
            "add",
            index=index,
            family=family,
            address=str(wanted.ip),
            prefixlen=wanted.network.prefixlen,
            **flags,
        )
    route.link("set", index=index, state="up")


def _set(path: str, value: str) -> None:
    if "/ipv6/" in path and value != "0" and not sysctl.has_ipv6():
        return
    sysctl.write(path, value)


def _refuse_others(route: IPRoute, bridge: Bridge, step: EnsureBridge) -> None:
    name = bridge.name
    if bridge.kind != "bridge":
        raise HostLacks(f"network.bridge: {name} is a link of another kind", hint=_OTHER_NAME)
    half_made = not bridge.alias and bridge.mac == step.mac
    if not half_made and not bridge.alias.startswith(step.owner):
        whose = "another instance's" if bridge.alias.startswith("zonectl:") else "not one that zonectl made"
        raise HostLacks(f"network.bridge: the bridge {name} is {whose}", hint=_OTHER_NAME)
    if bridge.alias.startswith(step.owner) and bridge.alias != step.mark and _has_ports(route, bridge):
        now = "masqueraded" if step.mark.endswith("routed") else "not masqueraded"
        hint = "give all zones of a bridge the same network.nat, or this one another network.bridge"
        raise HostLacks(f"network.nat: the zones on {name} are {now} now", hint=hint)


def _has_ports(route: IPRoute, bridge: Bridge) -> bool:
    return any(True for _ in route.link("dump", master=bridge.index))


def _refuse_overlap(route: IPRoute, step: EnsureBridge, *, index: int) -> None:
    """A subnet that the host reaches elsewhere would be cut off from it.

    A wider route by a gateway is not in the way: the narrower one wins, as is usual.
    """
    subnet = ip_interface(step.address).network
    for message in route.route("dump", family=_AF_INET6 if step.is_ipv6 else _AF_INET):
        link, target = message.get("oif"), message.get("dst")
        if link in {None, index} or target is None or message["type"] != 1:
            continue
        there = ip_network(f"{target}/{message['dst_len']}", strict=False)
        if subnet.overlaps(there) and (_is_within(there, subnet) or message.get("gateway") is None):
            raise HostLacks(
                f"network.subnet: {subnet} overlaps {there}, which the host reaches by {_name(route, link)}",
                hint="set network.subnet to a range that is free on this host",
            )


def _is_within(inner: IPv4Network | IPv6Network, outer: IPv4Network | IPv6Network) -> bool:
    return outer.prefixlen <= inner.prefixlen


def _name(route: IPRoute, index: int) -> str:
    return next((str(message.get("ifname")) for message in route.link("get", index=index)), "another link")


def _find(route: IPRoute, name: str) -> Bridge | None:
    found = route.link_lookup(ifname=name)
    if not found:
        return None
    return next((_bridge(message) for message in route.link("get", index=found[0])), None)


def _bridge(message: object) -> Bridge:
    get = message.get  # type: ignore[attr-defined]
    info = get("linkinfo")
    return Bridge(
        index=int(get("index")),
        name=str(get("ifname")),
        kind=str(info.get("kind") or "") if info else "",
        alias=str(get("ifalias") or ""),
        mac=str(get("address") or ""),
    )


@contextmanager
def _iproute(subject: str) -> Iterator[IPRoute]:
    try:
        with IPRoute(ext_ack=True, strict_check=True) as route:
            yield route
    except NetlinkError as error:
        words = str(error.args[1]) if len(error.args) > 1 else ""
        raise SyscallError("netlink", error.code, subject, detail=words) from error
