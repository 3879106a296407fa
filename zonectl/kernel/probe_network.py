"""Trials of networking: links and nft, and the settings of the host that change how published ports behave."""

from __future__ import annotations

import json
import os
import socket
import struct
from typing import TYPE_CHECKING, Final

from zonectl.errors import SyscallError
from zonectl.kernel import command, process, trial
from zonectl.model.facts import Probe

if TYPE_CHECKING:
    from collections.abc import Callable

NFT_S: Final = 10.0

RTM_NEWLINK: Final = 16
RTM_NEWRULE: Final = 32
NLM_F_REQUEST: Final = 1
NLM_F_ACK: Final = 4
NLM_F_EXCL: Final = 0x200
NLM_F_CREATE: Final = 0x400
NLMSG_ERROR: Final = 2
IFLA_IFNAME: Final = 3
IFLA_LINKINFO: Final = 18
IFLA_INFO_KIND: Final = 1
FRA_FWMARK: Final = 10
FRA_FWMASK: Final = 16
FR_ACT_BLACKHOLE: Final = 6

MARKING: Final = """
table inet probe0 {
	chain probe0 {
		type filter hook prerouting priority -50; policy accept;
		fib daddr oifname "probe0" meta mark set meta mark | 0x20000000
	}
}
"""

_NLMSGHDR: Final = struct.Struct("=IHHII")
_IFINFOMSG: Final = struct.Struct("=BxHiII")
_FIB_RULE_HDR: Final = struct.Struct("=BBBBBBBBI")
_U32: Final = struct.Struct("=I")
_NFATTR: Final = struct.Struct("=HH")


def probes() -> tuple[Probe, ...]:
    """What zones with a network of their own need, and what will surprise them."""
    return (
        _link("bridge"),
        _link("veth"),
        trial.here(_nft).probe(
            "nft", needed=True, remedy="apt-get install nftables; a kernel with CONFIG_NF_TABLES_INET"
        ),
        _routing_rules(),
        _setting("ip_forward", "net/ipv4/ip_forward", _forwarding),
        _setting("route_localnet", "net/ipv4/conf/all/route_localnet", _localnet),
        _bridge_netfilter(),
    )


def _link(kind: str) -> Probe:
    def attempt() -> str:
        process.unshare(process.CLONE_NEWNET)
        make_link("probe0", kind)
        return "works"

    return trial.in_child(attempt).probe(
        kind, needed=True, remedy=f"modprobe {kind}; a kernel with CONFIG_{kind.upper()}; CAP_NET_ADMIN"
    )


def make_link(name: str, kind: str) -> None:
    """Make a link of `kind` in this network namespace: one RTM_NEWLINK; rtnetlink(7).

    Raises:
        SyscallError: the kernel refused.

    """
    info = _attribute(IFLA_LINKINFO, _attribute(IFLA_INFO_KIND, kind.encode()))
    body = (
        _IFINFOMSG.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + _attribute(IFLA_IFNAME, name.encode() + b"\0") + info
    )
    _send(RTM_NEWLINK, body, call="RTM_NEWLINK", subject=kind)


def _routing_rules() -> Probe:
    """What stops zones whose firewall is lost: rules that ask for a mark, and nft's marks, by the way to go."""

    def attempt() -> str:
        process.unshare(process.CLONE_NEWNET)
        families = [socket.AF_INET, *([socket.AF_INET6] if os.path.exists("/proc/sys/net/ipv6") else [])]
        for family in families:
            _make_rule(family)
        command.run(["nft", "-f", "-"], stdin=MARKING.encode(), timeout_s=NFT_S)
        return "works"

    remedy = "a kernel with CONFIG_IP_MULTIPLE_TABLES, CONFIG_IPV6_MULTIPLE_TABLES and CONFIG_NFT_FIB_INET"
    return trial.in_child(attempt).probe("routing rules", needed=True, remedy=remedy)


def _make_rule(family: int) -> None:
    """Refuse to route what lacks a mark: one RTM_NEWRULE in this network namespace.

    Raises:
        SyscallError: the kernel refused.

    """
    mark = _attribute(FRA_FWMARK, bytes(4)) + _attribute(FRA_FWMASK, _U32.pack(0x20000000))
    body = _FIB_RULE_HDR.pack(family, 0, 0, 0, 0, 0, 0, FR_ACT_BLACKHOLE, 0) + mark
    _send(RTM_NEWRULE, body, call="RTM_NEWRULE", subject="fwmark 0/0x20000000")


def _send(message: int, body: bytes, *, call: str, subject: str) -> None:
    flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL
    header = _NLMSGHDR.pack(_NLMSGHDR.size + len(body), message, flags, 1, 0)
    with socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
    ) as netlink:
        netlink.send(header + body)
        reply = netlink.recv(4096)
    error = -struct.unpack_from("=i", reply, _NLMSGHDR.size)[0]
    if error:
        raise SyscallError(call, error, subject)


def _attribute(kind: int, payload: bytes) -> bytes:
    """A netlink attribute, padded to four bytes (netlink(7))."""
    return _NFATTR.pack(_NFATTR.size + len(payload), kind) + payload + bytes(-len(payload) % 4)


def _nft() -> str:
    found = command.run(["nft", "-j", "list", "tables"], timeout_s=NFT_S)
    tables = sum("table" in entry for entry in json.loads(found.stdout)["nftables"])
    return f"lists {tables} table{'s' * (tables != 1)}"


def _setting(name: str, path: str, describe: Callable[[str], str]) -> Probe:
    """A setting that zonectl changes itself when it must; it only has to be there."""

    def read() -> str:
        with open(f"/proc/sys/{path}", encoding="ascii") as file:
            return describe(file.read().strip())

    return trial.here(read).probe(name, needed=True, remedy="a kernel with IPv4, and /proc/sys")


def _forwarding(value: str) -> str:
    return "on" if value == "1" else "off; turned on with the first zone that has a network"


def _localnet(value: str) -> str:
    return (
        "on for all links"
        if value == "1"
        else "off; turned on for the zones' bridge where 127.0.0.1 is published"
    )


def _bridge_netfilter() -> Probe:
    """With it on, frames between two ports of a bridge pass the host's IP rules, which breaks published ports."""
    path = "/proc/sys/net/bridge/bridge-nf-call-iptables"
    on = os.path.exists(path) and _first_line(path) == "1"
    return Probe(
        name="bridge-nf-call-iptables",
        ok=not on,
        seen="on: published ports fail from a zone to itself and between isolated zones" if on else "off",
        needed=False,
        remedy="sysctl net.bridge.bridge-nf-call-iptables=0" if on else "",
    )


def _first_line(path: str) -> str:
    with open(path, encoding="ascii") as file:
        return file.readline().strip()
