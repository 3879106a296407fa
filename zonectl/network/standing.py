"""How a running zone's port on its bridge stands: what keeps the zone apart from others on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.model.audit import Connection
from zonectl.model.instance import link_name
from zonectl.network import rtnetlink
from zonectl.network.channel import open_channel
from zonectl.network.ruleset import GROUP_ISOLATED
from zonectl.network.status import inspect

if TYPE_CHECKING:
    from zonectl.model.instance import Instance
    from zonectl.network.rtnetlink import Port


def connection(instance: Instance, zone_id: str, *, bridge: str) -> Connection:
    """The connection of the zone to `bridge`, with the rules that guard it.

    Raises:
        SyscallError: the kernel cannot be asked.

    """
    problems = inspect(instance, zone_id, bridge=bridge).problems
    port = _port(link_name(zone_id))
    if port is None:
        return Connection(problems=problems)
    return Connection(
        problems=problems,
        guarded=port.locked and not port.learning and not port.unicast_flood,
        isolated=port.isolated and port.group == GROUP_ISOLATED,
    )


def _port(link: str) -> Port | None:
    with open_channel() as channel:
        (answer,) = channel.try_ask(rtnetlink.find_link(link))
    return None if answer.error is not None else rtnetlink.parse_port(answer.payloads[0])
