"""What the zones of an instance share: looked at by each start, mended where it is missing, removed at the end."""

from __future__ import annotations

import errno
import os
import socket
from ipaddress import ip_interface
from typing import TYPE_CHECKING, assert_never

from zonectl.errors import SyscallError
from zonectl.network import gate, nftables, rtnetlink, sysctl
from zonectl.network.channel import open_channel
from zonectl.network.ruleset import BridgeRules, expectations, render
from zonectl.network.steps import EnsureBridge, EnsureForwarding, EnsureGate, EnsureTable, owner_mark

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from zonectl.model.instance import Instance
    from zonectl.network.steps import SharedStep

_CONF_IPV6 = "/proc/sys/net/ipv6/conf"


def ensure(steps: Sequence[SharedStep], *, lock: AbstractContextManager[object]) -> None:
    """See that every step holds. `lock` is entered only when one does not, and is the instance's.

    Raises:
        HostLacks: a name or a range of addresses is somebody else's, or nft is missing or fails.
        SyscallError: the kernel refuses.

    """
    if all(holds(step) for step in steps):
        return
    with lock:
        for step in steps:
            if not holds(step):
                _mend(step)


def is_begun(steps: Sequence[SharedStep]) -> bool:
    """Whether the bridges are there: all else is, too, unless somebody has meddled with it."""
    return all(_is_link(step.bridge) for step in steps if isinstance(step, EnsureBridge))


def _is_link(name: str) -> bool:
    try:
        return socket.if_nametoindex(name) > 0
    except OSError:
        return False


def holds(step: SharedStep) -> bool:
    """Whether nothing is to do for the step. Microseconds, whatever the number of zones.

    Raises:
        SyscallError: the kernel cannot be asked.

    """
    match step:
        case EnsureBridge():
            return _bridge_holds(step)
        case EnsureGate():
            return gate.holds(step)
        case EnsureForwarding():
            return sysctl.read(step.path) != "0"
        case EnsureTable():
            return nftables.are_intact(expectations(step.table, _rules(step)))
        case _:
            assert_never(step)


def teardown(instance: Instance, *, lock: AbstractContextManager[object]) -> tuple[str, ...]:
    """Remove the instance's bridges, tables and rules, when its last zone is deleted; the names of the bridges.

    Bridges are known by their mark, so that those which no zone file names any longer go too. Nothing there is fine.
    Forwarding stays on: another program may have come to need it, and nothing tells who turned it on first.

    Raises:
        HostLacks: nft fails.
        SyscallError: the kernel refuses.

    """
    # Imported late: 110 ms which a start that finds everything in place must not pay.
    from zonectl.network import bridges  # noqa: PLC0415

    with lock:
        nftables.remove(instance.table)
        removed = bridges.remove(owner_mark(instance), table=instance.table)
        gate.remove(instance)
    return removed


def left(instance: Instance) -> list[tuple[str, str]]:
    """What `teardown` would remove: pairs of a kind and a name.

    Raises:
        SyscallError: the kernel cannot be asked.

    """
    from zonectl.network import bridges  # noqa: PLC0415 - as in teardown

    found = bridges.removable(owner_mark(instance), table=instance.table)
    tables = [("nft table", instance.table)] if nftables.is_there(instance.table) else []
    rules = [("routing rules", instance.table)] if gate.is_there(instance) else []
    return [*tables, *(("bridge", bridge.name) for bridge in found), *rules]


def ports(instance: Instance) -> tuple[str, ...]:
    """The names of the links on the instance's bridges.

    Raises:
        SyscallError: the kernel cannot be asked.

    """
    from zonectl.network import bridges  # noqa: PLC0415 - as in teardown

    return bridges.ports(owner_mark(instance))


def _bridge_holds(step: EnsureBridge) -> bool:
    with open_channel() as channel:
        (answer,) = channel.try_ask(rtnetlink.find_link(step.bridge))
        if answer.error is not None:
            if answer.error.errno == errno.ENODEV:
                return False
            raise answer.error
        link = rtnetlink.parse_link(answer.payloads[0])
        if (link.kind, link.alias, link.mac, link.is_up) != ("bridge", step.mark, step.mac, True):
            return False
        (payloads,) = channel.ask(rtnetlink.list_addresses(link.index, ipv6=step.is_ipv6))
    return str(ip_interface(step.address)) in map(rtnetlink.parse_address, payloads)


def _mend(step: SharedStep) -> None:
    match step:
        case EnsureBridge():
            from zonectl.network import bridges  # noqa: PLC0415 - as in teardown

            bridges.ensure(step)
        case EnsureGate():
            gate.ensure(step)
        case EnsureForwarding():
            _forward(step)
        case EnsureTable():
            _mend_table(step)
        case _:
            assert_never(step)


def _mend_table(step: EnsureTable) -> None:
    """Make the tables anew for all bridges of the instance: those of running zones need their rules back too."""
    from zonectl.network import bridges  # noqa: PLC0415 - as in teardown

    others = {
        BridgeRules(bridge=bridge.name, mac=bridge.mac, nat=bridge.alias.endswith(":nat"))
        for bridge in bridges.ours(step.owner)
        if bridge.name != step.bridge
    }
    nftables.load(render(step.table, {*others, _rules(step)}))


def _rules(step: EnsureTable) -> BridgeRules:
    return BridgeRules(bridge=step.bridge, mac=step.mac, nat=step.nat)


def _forward(step: EnsureForwarding) -> None:
    if step.family == "ipv6":
        _keep_advertised_routes()
    sysctl.write(step.path, "1")


def _keep_advertised_routes() -> None:
    """A host that forwards ignores router advertisements, and so loses its own way out, unless accept_ra is 2."""
    for link in os.listdir(_CONF_IPV6):
        path = f"{_CONF_IPV6}/{link}/accept_ra"
        try:
            if sysctl.read(path) == "1":
                sysctl.write(path, "2")
        except SyscallError as error:
            # The link went away meanwhile.
            if error.errno != errno.ENOENT:
                raise
