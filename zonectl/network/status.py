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
    rules_intact: bool
    gate_intact: bool

    @property
    def problems(self) -> tuple[str, ...]:
        """What is missing, in plain words; empty where nothing is."""
        found = (
            (self.link_present, "its link is gone"),
            (self.has_master or not self.link_present, "its link is on no bridge"),
            (self.bridge_present, "its bridge is gone"),
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
    is_ours = there is not None and there.alias.startswith(owner_mark(instance))
    return NetworkStatus(
        link_present=port is not None,
        has_master=port is not None and there is not None and port.master == there.index,
        bridge_present=is_ours,
        rules_intact=there is not None and is_ours and _rules_hold(instance, bridge, there),
        gate_intact=there is not None and is_ours and gate.stands(instance, bridge, there.index),
    )


class Inspection:
    """A look at the connections of any number of zones; each bridge, and its rules, is looked at once."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._bridges: dict[int, tuple[bool, bool, bool]] = {}

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
                    rules_intact=True,
                    gate_intact=True,
                )
            if port.master not in self._bridges:
                self._bridges[port.master] = self._bridge(channel, port.master)
        is_ours, is_guarded, is_gated = self._bridges[port.master]
        return NetworkStatus(
            link_present=True,
            has_master=is_ours,
            bridge_present=True,
            rules_intact=is_guarded or not is_ours,
            gate_intact=is_gated or not is_ours,
        )

    def _bridge(self, channel: Channel, index: int) -> tuple[bool, bool, bool]:
        """Whether the bridge is the instance's, and whether rules and routing rules for it are all there."""
        try:
            name = socket.if_indextoname(index)
        except OSError:
            return False, False, False  # it went meanwhile
        found = _find(channel, name)
        if found is None or not found.alias.startswith(owner_mark(self._instance)):
            return False, False, False
        return True, _rules_hold(self._instance, name, found), gate.stands(self._instance, name, index)


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
