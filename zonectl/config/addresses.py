"""Kinds of network addresses. What `ipaddress` would let through is narrowed here: no netmasks, no scopes."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from zonectl.config.kinds import Refused, Text, shown

if TYPE_CHECKING:
    from typing import TypeAlias

    from zonectl.model.config import Interface

    Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
    Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_ADDRESS = "[0-9A-Fa-f:.]{2,45}"
_PREFIX = "[0-9]{1,3}"


def _host(text: str) -> Address:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise Refused(f"{shown(text)} is not an IPv4 or IPv6 address") from None
    if address.is_unspecified or address.is_multicast:
        raise Refused(f"{text} is not the address of a host")
    return address


def _host_text(text: str) -> str:
    return str(_host(text))


def _interface(text: str) -> Interface | None:
    if text == "auto":
        return None
    try:
        interface = ipaddress.ip_interface(text)
    except ValueError:
        raise Refused(f"{shown(text)} is not an IPv4 or IPv6 address with a prefix length") from None
    _host(str(interface.ip))
    return interface


def _subnet(text: str) -> str:
    try:
        subnet = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise Refused(f"{shown(text)} is not an IPv4 or IPv6 subnet") from None
    if str(subnet.network_address) != str(ipaddress.ip_interface(text).ip):
        raise Refused(f"{text} has bits set beyond its prefix", suggestion=str(subnet))
    if subnet.num_addresses < 4:  # noqa: PLR2004 - its own address, its broadcast, a gateway and one zone
        raise Refused(f"{text} has no room for a gateway and a zone")
    if (
        subnet.is_multicast
        or subnet.is_loopback
        or subnet.is_link_local
        or subnet.network_address.is_unspecified
    ):
        raise Refused(f"{text} is not a subnet that hosts can be in")
    return str(subnet)


ADDRESS = Text(
    label="an address of a host",
    pattern=_ADDRESS,
    rule="write an IPv4 or IPv6 address without a prefix length",
    parse=_host_text,
)
INTERFACE = Text(
    label="an address with a prefix length",
    pattern=f"auto|{_ADDRESS}/{_PREFIX}",
    rule='write "auto", or an address and a prefix length such as 10.77.0.10/16',
    parse=_interface,
)
SUBNET = Text(
    label="a subnet",
    pattern=f"{_ADDRESS}/{_PREFIX}",
    rule="write an address and a prefix length, such as 10.77.0.0/16",
    parse=_subnet,
)
