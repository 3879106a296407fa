"""Arithmetic of addresses: the host's in a subnet, a link's from what is behind it."""

from __future__ import annotations

import hashlib
from ipaddress import IPv4Address, ip_interface

MAC_PREFIX_IPV4 = "02:7a"
"""The first two bytes of the link address of a zone with an IPv4 address; the other four are that address."""

MAC_PREFIX_IPV6 = "06:7a"
"""The same for IPv6; the other four bytes are the last four of the address."""

MAC_PREFIX_BRIDGE = "0a:7a"
"""The first two bytes of a bridge's link address."""


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
