"""The few messages of rtnetlink(7) that zonectl builds itself: those on the way of every start.

Everything off that way is left to pyroute2 (`zonectl.network.bridges`); docs/adr/0030-netlink-encoders.md has the
figures.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface
from typing import Final

from zonectl.network.wire import (
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    Request,
    attribute,
    attributes,
    link_address,
    nested,
    text,
    u8,
    u32,
)

LOOPBACK_INDEX: Final = 1
"""The index of `lo` in every network namespace (LOOPBACK_IFINDEX)."""

IFF_UP: Final = 0x1

_AF_INET: Final = 2
_AF_BRIDGE: Final = 7
_AF_INET6: Final = 10

_RTM_NEWLINK: Final = 16
_RTM_DELLINK: Final = 17
_RTM_GETLINK: Final = 18
_RTM_NEWADDR: Final = 20
_RTM_GETADDR: Final = 22
_RTM_NEWROUTE: Final = 24
_RTM_NEWNEIGH: Final = 28

_IFLA_ADDRESS: Final = 1
_IFLA_IFNAME: Final = 3
_IFLA_MTU: Final = 4
_IFLA_MASTER: Final = 10
_IFLA_LINKINFO: Final = 18
_IFLA_IFALIAS: Final = 20
_IFLA_GROUP: Final = 27
_IFLA_NET_NS_FD: Final = 28
_IFLA_INFO_KIND: Final = 1
_IFLA_INFO_DATA: Final = 2
_IFLA_INFO_SLAVE_KIND: Final = 4
_IFLA_INFO_SLAVE_DATA: Final = 5
_VETH_INFO_PEER: Final = 1
_IFLA_BRPORT_LEARNING: Final = 8
_IFLA_BRPORT_UNICAST_FLOOD: Final = 9
_IFLA_BRPORT_ISOLATED: Final = 33
_IFLA_BRPORT_LOCKED: Final = 39

_IFA_ADDRESS: Final = 1
_IFA_LOCAL: Final = 2
_IFA_BROADCAST: Final = 4
_IFA_FLAGS: Final = 8
_IFA_F_NODAD: Final = 0x02

_RTA_GATEWAY: Final = 5
_RT_TABLE_MAIN: Final = 254
_RTPROT_BOOT: Final = 3
_RTN_UNICAST: Final = 1

_NDA_LLADDR: Final = 2
_NTF_MASTER: Final = 0x04
_NUD_NOARP: Final = 0x40

_IFINFOMSG: Final = struct.Struct("=BxHiII")
_IFADDRMSG: Final = struct.Struct("=BBBBi")
_RTMSG: Final = struct.Struct("=BBBBBBBBI")
_NDMSG: Final = struct.Struct("=BxxxiHBB")
_U32: Final = struct.Struct("=I")

_MAKE: Final = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link as the kernel tells of it. `master` is the index of the bridge that it is a port of, or None."""

    index: int
    is_up: bool
    mac: str
    kind: str
    alias: str
    master: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """How a port of a bridge is guarded, as the kernel tells of it; see `guard_port`. `group` is the link's."""

    group: int
    locked: bool
    isolated: bool
    learning: bool
    unicast_flood: bool


def make_veth(
    link: str, *, master: int, group: int, peer: str, mac: str, netns_fd: int, mtu: int | None
) -> Request:
    """A pair of links: `link` here, up, a port of `master`; `peer`, down, born in the namespace of `netns_fd`.

    The peer cannot be up from the start: the kernel refuses it while its other end is being made (ENOTCONN).
    """
    size = u32(_IFLA_MTU, mtu) if mtu else b""
    there = b"".join(
        (
            _IFINFOMSG.pack(0, 0, 0, 0, 0),
            text(_IFLA_IFNAME, peer),
            attribute(_IFLA_ADDRESS, link_address(mac)),
            u32(_IFLA_NET_NS_FD, netns_fd),
            size,
        )
    )
    data = nested(_IFLA_INFO_DATA, attribute(_VETH_INFO_PEER, there))
    body = b"".join(
        (
            _IFINFOMSG.pack(0, 0, 0, IFF_UP, IFF_UP),
            text(_IFLA_IFNAME, link),
            u32(_IFLA_MASTER, master),
            u32(_IFLA_GROUP, group),
            size,
            nested(_IFLA_LINKINFO, text(_IFLA_INFO_KIND, "veth"), data),
        )
    )
    return Request(kind=_RTM_NEWLINK, flags=_MAKE, body=body, call="RTM_NEWLINK", subject=link)


def join_bridge(link: str, *, master: int, group: int) -> Request:
    """The link is a port of `master`, and in the `group` by which rules know it."""
    body = b"".join(
        (
            _IFINFOMSG.pack(0, 0, 0, 0, 0),
            text(_IFLA_IFNAME, link),
            u32(_IFLA_MASTER, master),
            u32(_IFLA_GROUP, group),
        )
    )
    return Request(
        kind=_RTM_NEWLINK, flags=NLM_F_ACK, body=body, call="RTM_NEWLINK", subject=f"{link} master"
    )


def guard_port(link: str, *, isolated: bool) -> Request:
    """Frames from known addresses alone (locked, Linux 5.18), to known addresses alone, and apart from its like."""
    data = nested(
        _IFLA_INFO_SLAVE_DATA,
        u8(_IFLA_BRPORT_LEARNING, 0),
        u8(_IFLA_BRPORT_UNICAST_FLOOD, 0),
        u8(_IFLA_BRPORT_LOCKED, 1),
        u8(_IFLA_BRPORT_ISOLATED, int(isolated)),
    )
    info = nested(_IFLA_LINKINFO, text(_IFLA_INFO_SLAVE_KIND, "bridge"), data)
    body = _IFINFOMSG.pack(0, 0, 0, 0, 0) + text(_IFLA_IFNAME, link) + info
    return Request(
        kind=_RTM_NEWLINK, flags=NLM_F_ACK, body=body, call="RTM_NEWLINK", subject=f"{link} guards"
    )


def admit_mac(index: int, mac: str, *, replace: bool, subject: str) -> Request:
    """A static entry of the bridge's forwarding table: `mac` is behind the port with that index.

    It goes when the port goes. With `replace`, one on another port is taken over; otherwise that is EEXIST.
    """
    body = _NDMSG.pack(_AF_BRIDGE, index, _NUD_NOARP, _NTF_MASTER, 0)
    body += attribute(_NDA_LLADDR, link_address(mac))
    flags = NLM_F_ACK | NLM_F_CREATE | (NLM_F_REPLACE if replace else NLM_F_EXCL)
    return Request(kind=_RTM_NEWNEIGH, flags=flags, body=body, call="RTM_NEWNEIGH", subject=subject)


def bring_up(index: int, *, subject: str) -> Request:
    """The link is up."""
    body = _IFINFOMSG.pack(0, 0, index, IFF_UP, IFF_UP)
    return Request(kind=_RTM_NEWLINK, flags=NLM_F_ACK, body=body, call="RTM_NEWLINK", subject=f"{subject} up")


def take_down(index: int, *, subject: str) -> Request:
    """The link is down: no frame passes it."""
    body = _IFINFOMSG.pack(0, 0, index, 0, IFF_UP)
    return Request(
        kind=_RTM_NEWLINK, flags=NLM_F_ACK, body=body, call="RTM_NEWLINK", subject=f"{subject} down"
    )


def delete_link(link: str) -> Request:
    """The link is gone: 20 ms, since the kernel waits for all who may still look at it."""
    body = _IFINFOMSG.pack(0, 0, 0, 0, 0) + text(_IFLA_IFNAME, link)
    return Request(kind=_RTM_DELLINK, flags=NLM_F_ACK, body=body, call="RTM_DELLINK", subject=link)


def find_link(link: str) -> Request:
    """Ask for one link by name; `parse_link` reads the answer. ENODEV: there is none."""
    body = _IFINFOMSG.pack(0, 0, 0, 0, 0) + text(_IFLA_IFNAME, link)
    return Request(kind=_RTM_GETLINK, flags=0, body=body, call="RTM_GETLINK", subject=link)


def parse_link(payload: bytes) -> Link:
    """The link that a RTM_NEWLINK message tells of."""
    _family, _type, index, flags, _change = _IFINFOMSG.unpack_from(payload)
    found = attributes(payload, _IFINFOMSG.size)
    info = attributes(found.get(_IFLA_LINKINFO, b""))
    master = found.get(_IFLA_MASTER)
    return Link(
        index=index,
        is_up=bool(flags & IFF_UP),
        mac=found.get(_IFLA_ADDRESS, b"").hex(":"),
        kind=_string(info.get(_IFLA_INFO_KIND, b"")),
        alias=_string(found.get(_IFLA_IFALIAS, b"")),
        master=_U32.unpack(master)[0] if master else None,
    )


def parse_port(payload: bytes) -> Port | None:
    """The port that a RTM_NEWLINK message tells of; None where the link is a port of no bridge."""
    found = attributes(payload, _IFINFOMSG.size)
    info = attributes(found.get(_IFLA_LINKINFO, b""))
    data = attributes(info.get(_IFLA_INFO_SLAVE_DATA, b""))
    if _string(info.get(_IFLA_INFO_SLAVE_KIND, b"")) != "bridge":
        return None
    return Port(
        group=_U32.unpack(found.get(_IFLA_GROUP, bytes(4)))[0],
        locked=data.get(_IFLA_BRPORT_LOCKED) == b"\1",
        isolated=data.get(_IFLA_BRPORT_ISOLATED) == b"\1",
        learning=data.get(_IFLA_BRPORT_LEARNING) != b"\0",
        unicast_flood=data.get(_IFLA_BRPORT_UNICAST_FLOOD) != b"\0",
    )


def add_address(index: int, address: str, *, subject: str) -> Request:
    """The link has `address` (with prefix); IPv6 without the second of waiting for a duplicate's protest."""
    parsed = ip_interface(address)
    packed = parsed.ip.packed
    is_ipv6 = parsed.version == 6  # noqa: PLR2004
    extra = u32(_IFA_FLAGS, _IFA_F_NODAD) if is_ipv6 else b""
    if not is_ipv6 and parsed.network.prefixlen < 31:  # noqa: PLR2004 - RFC 3021: no broadcast
        extra = attribute(_IFA_BROADCAST, parsed.network.broadcast_address.packed)
    family = _AF_INET6 if is_ipv6 else _AF_INET
    body = b"".join(
        (
            _IFADDRMSG.pack(family, parsed.network.prefixlen, 0, 0, index),
            attribute(_IFA_LOCAL, packed),
            attribute(_IFA_ADDRESS, packed),
            extra,
        )
    )
    return Request(
        kind=_RTM_NEWADDR, flags=_MAKE, body=body, call="RTM_NEWADDR", subject=f"{address} {subject}"
    )


def list_addresses(index: int, *, ipv6: bool) -> Request:
    """Ask for the addresses of one link (strict checking makes the kernel look at that link alone)."""
    body = _IFADDRMSG.pack(_AF_INET6 if ipv6 else _AF_INET, 0, 0, 0, index)
    return Request(kind=_RTM_GETADDR, flags=NLM_F_DUMP, body=body, call="RTM_GETADDR", subject=str(index))


def parse_address(payload: bytes) -> str:
    """The address with prefix that a RTM_NEWADDR message tells of."""
    _family, prefix, _flags, _scope, _index = _IFADDRMSG.unpack_from(payload)
    found = attributes(payload, _IFADDRMSG.size)
    packed = found.get(_IFA_LOCAL) or found[_IFA_ADDRESS]
    return f"{ip_address(packed)}/{prefix}"


def default_route(gateway: str) -> Request:
    """What no other route leads to goes to `gateway`, over the link that reaches it."""
    packed = ip_address(gateway).packed
    family = _AF_INET if len(packed) == 4 else _AF_INET6  # noqa: PLR2004
    body = _RTMSG.pack(family, 0, 0, 0, _RT_TABLE_MAIN, _RTPROT_BOOT, 0, _RTN_UNICAST, 0)
    body += attribute(_RTA_GATEWAY, packed)
    return Request(
        kind=_RTM_NEWROUTE, flags=_MAKE, body=body, call="RTM_NEWROUTE", subject=f"default via {gateway}"
    )


def _string(value: bytes) -> str:
    return value.rstrip(b"\0").decode(errors="replace")
