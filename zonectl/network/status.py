"""Whether a zone is connected as it should be: for `list`, `show` and recovery."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zonectl.model.instance import link_name
from zonectl.network import gate, nftables, rtnetlink
from zonectl.network.channel import open_channel
from zonectl.network.ruleset import BridgeRules, expectations
from zonectl.network.steps import owner_mark

if TYPE_CHECKING:
    from zonectl.model.instance import Instance
    from zonectl.network.channel import Channel
    from zonectl.network.rtnetlink import Link


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkStatus:
    """What there is of a running zone's connection: its port, on which bridge, and the rules that guard it."""

    link_present: bool
    has_master: bool
    bridge_present: bool
    bridge_addressed: bool
    rules_intact: bool
    gate_intact: bool

    @property
    def problems(self) -> tuple[str, ...]:
        """What is missing, in plain words; empty where nothing is."""
        found = (
            (self.link_present, "its link is gone"),
            (self.has_master or not self.link_present, "its link is on no bridge"),
            (self.bridge_present, "its bridge is gone"),
            (self.bridge_addressed or not self.bridge_present, "its bridge has lost its addresses"),
            (self.rules_intact or not self.bridge_present, "its firewall rules are gone or altered"),
            (self.gate_intact or not self.bridge_present, "its routing rules are gone or altered"),
        )
        return tuple(words for fine, words in found if not fine)


def inspect(instance: Instance, zone_id: str, *, bridge: str) -> NetworkStatus:
    """Look at the connection of the running zone `zone_id`, whose zone file names `bridge`.

    Raises:
        SyscallError: the kernel cannot be asked.

    """
    with open_channel() as channel:
        port = _find(channel, link_name(zone_id))
        there = _find(channel, bridge)
    if there is None or not there.alias.startswith(owner_mark(instance)):
        found = _NO_BRIDGE
    else:
        found = _look_at(instance, bridge, there)
    return NetworkStatus(
        link_present=port is not None,
        has_master=port is not None and there is not None and port.master == there.index,
        bridge_present=found.is_ours,
        bridge_addressed=found.is_addressed,
        rules_intact=found.is_guarded,
        gate_intact=found.is_gated,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bridge:
    """What is there of a bridge; of one that is not the instance's nothing else is known."""

    is_ours: bool
    is_addressed: bool
    is_guarded: bool
    is_gated: bool


_NO_BRIDGE = _Bridge(is_ours=False, is_addressed=False, is_guarded=False, is_gated=False)


def _look_at(instance: Instance, name: str, link: Link) -> _Bridge:
    """The instance's bridge. Without an address there is no subnet, whose gate could be looked for."""
    subnets = gate.subnets(link.index)
    return _Bridge(
        is_ours=True,
        is_addressed=bool(subnets),
        is_guarded=_rules_hold(instance, name, link),
        is_gated=gate.stands(instance, name, subnets),
    )


class Inspection:
    """A look at the connections of any number of zones; each bridge, and its rules, is looked at once."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._bridges: dict[int, _Bridge] = {}

    def of(self, zone_id: str) -> NetworkStatus:
        """The connection of the running zone `zone_id`, whatever bridge it is on.

        Raises:
            SyscallError: the kernel cannot be asked.

        """
        with open_channel() as channel:
            port = _find(channel, link_name(zone_id))
            if port is None or port.master is None:
                return NetworkStatus(
                    link_present=port is not None,
                    has_master=False,
                    bridge_present=True,
                    bridge_addressed=True,
                    rules_intact=True,
                    gate_intact=True,
                )
            if port.master not in self._bridges:
                self._bridges[port.master] = self._bridge(channel, port.master)
        found = self._bridges[port.master]
        return NetworkStatus(
            link_present=True,
            has_master=found.is_ours,
            bridge_present=True,
            bridge_addressed=found.is_addressed or not found.is_ours,
            rules_intact=found.is_guarded or not found.is_ours,
            gate_intact=found.is_gated or not found.is_ours,
        )

    def _bridge(self, channel: Channel, index: int) -> _Bridge:
        """What is there of the bridge, if it is the instance's."""
        try:
            name = socket.if_indextoname(index)
        except OSError:
            return _NO_BRIDGE  # it went meanwhile
        found = _find(channel, name)
        if found is None or not found.alias.startswith(owner_mark(self._instance)):
            return _NO_BRIDGE
        return _look_at(self._instance, name, found)


def _rules_hold(instance: Instance, bridge: str, link: Link) -> bool:
    rules = BridgeRules(bridge=bridge, mac=link.mac, nat=link.alias.endswith(":nat"))
    return nftables.are_intact(expectations(instance.table, rules))


def _find(channel: Channel, name: str) -> Link | None:
    (answer,) = channel.try_ask(rtnetlink.find_link(name))
    if answer.error is None:
        return rtnetlink.parse_link(answer.payloads[0])
    if answer.error.errno == errno.ENODEV:
        return None
    raise answer.error
