"""Arithmetic of addresses: the host's in a subnet, a zone's in a pool, a link's from what is behind it."""

from __future__ import annotations

import hashlib
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_interface, ip_network
from typing import TYPE_CHECKING, TypeAlias

from zonectl.errors import ZonectlError

if TYPE_CHECKING:
    from collections.abc import Collection

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

MAC_PREFIX_IPV4 = "02:7a"
"""The first two bytes of the link address of a zone with an IPv4 address; the other four are that address."""

MAC_PREFIX_IPV6 = "06:7a"
"""The same for IPv6; the other four bytes are the last four of the address."""

MAC_PREFIX_BRIDGE = "0a:7a"
"""The first two bytes of a bridge's link address."""

_GATEWAY_OFFSET = 1
_FIRST_OFFSET = 2


def first_host(subnet: str) -> str:
    """The first address of a host in the subnet ("10.77.0.1"): the bridge's, which is the zones' gateway.

    Raises:
        ValueError: not a subnet, or one without room for a host beside it.

    """
    network = ip_network(subnet)
    if network.num_addresses < 4:  # noqa: PLR2004 - network, gateway, one zone, broadcast
        msg = f"no room for a zone in {network}"
        raise ValueError(msg)
    return str(network[_GATEWAY_OFFSET])


def pick(subnet: str, taken: Collection[str], *, last: str | None = None) -> str:
    """The first free address of `subnet` after `last`, going round: one just released is used last.

    Never the subnet's own address, the gateway's, nor IPv4's broadcast. At most one more address is looked at
    than are taken, so that a /64 is no slower than a /24.

    Raises:
        ZonectlError: every address is taken.

    """
    network = ip_network(subnet)
    count = network.num_addresses - _FIRST_OFFSET - isinstance(network, IPv4Network)
    start = _offset(network, last) + 1 - _FIRST_OFFSET if last is not None else 0
    for tried in range(min(count, len(taken) + 1)):
        address = str(network[_FIRST_OFFSET + (start + tried) % count])
        if address not in taken:
            return address
    raise ZonectlError(f"no address is left in {network}", hint="delete zones, or set network.subnet to more")


def _offset(network: Network, address: str) -> int:
    found = ip_address(address)
    return int(found) - int(network.network_address) if found in network else _GATEWAY_OFFSET


def zone_mac(address: str) -> str:
    """The link address that goes with the address of a zone, with or without prefix ("02:7a:0a:4d:00:05").

    It says which address its zone has: a filter that knows no zone can then drop what does not match (see
    `zonectl.network.ruleset`), and a neighbour's cache is still right when another zone gets the address.

    Raises:
        ValueError: not an address.

    """
    ip = ip_interface(address).ip
    prefix = MAC_PREFIX_IPV4 if isinstance(ip, IPv4Address) else MAC_PREFIX_IPV6
    return f"{prefix}:{ip.packed[-4:].hex(':')}"


def bridge_mac(table: str, bridge: str) -> str:
    """The link address of an instance's bridge.

    Left to itself a bridge takes the lowest of its ports', and changes it under everyone's caches as zones come
    and go. This one also tells whose a bridge is whose maker was killed before it could sign it.
    """
    digest = hashlib.sha256(f"{table}/{bridge}".encode()).digest()
    return f"{MAC_PREFIX_BRIDGE}:{digest[:4].hex(':')}"
