"""Steps that the host takes: what all zones share, and one zone's pair of links."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from zonectl.model.steps import Call, Side
from zonectl.network.steps.calls import ZONE_LINK, netlink, sysctl, sysctl_path
from zonectl.network.steps.gate import EnsureGate

_BRIDGE_SYSCTLS: Final = (
    # Without these a zone could tell the host which way its packets should go.
    ("ipv4", "accept_redirects", "0"),
    ("ipv4", "send_redirects", "0"),
)
_BRIDGE_SYSCTLS_IPV6: Final = (("ipv6", "accept_ra", "0"), ("ipv6", "accept_redirects", "0"))


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsureBridge:
    """The bridge `bridge`, signed `mark`, up, with `address` (the host's, with prefix) among its addresses."""

    bridge: str
    address: str
    mac: str
    mark: str
    side: Side = Side.HOST

    @property
    def is_ipv6(self) -> bool:
        """Whether IPv6 must be on."""
        return ":" in self.address

    @property
    def owner(self) -> str:
        """What a bridge of this instance is signed with, whatever it does for its zones."""
        return f"{self.mark.rpartition(':')[0]}:"

    @property
    def sysctls(self) -> tuple[tuple[str, str], ...]:
        """Settings of the bridge, as path and value."""
        chosen = (*_BRIDGE_SYSCTLS, *(_BRIDGE_SYSCTLS_IPV6 if self.is_ipv6 else ()))
        disable = ("ipv6", "disable_ipv6", "0" if self.is_ipv6 else "1")
        return tuple(
            (sysctl_path(family, self.bridge, key), value) for family, key, value in (*chosen, disable)
        )

    @property
    def summary(self) -> str:
        """In plain words."""
        return f"have the bridge {self.bridge} with {self.address}"

    @property
    def calls(self) -> tuple[Call, ...]:
        """What is done where the bridge is missing."""
        kind = f"{self.bridge} kind=bridge address={self.mac} stp=0 mcast_snooping=0"
        when = "when missing"
        return (
            netlink("RTM_NEWLINK", kind, when=when),
            netlink("RTM_NEWLINK", f"{self.bridge} ifalias={self.mark}", when=when),
            *(call for path, value in self.sysctls for call in sysctl(path, value, when=when)),
            netlink("RTM_NEWADDR", f"{self.address} dev {self.bridge}", when=when),
            netlink("RTM_NEWLINK", f"{self.bridge} up", when=when),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsureForwarding:
    """The host passes packets on between its links. `family` is "ipv4" or "ipv6"."""

    family: str
    side: Side = Side.HOST

    @property
    def path(self) -> str:
        """The kernel's switch."""
        return (
            "/proc/sys/net/ipv4/ip_forward"
            if self.family == "ipv4"
            else sysctl_path("ipv6", "all", "forwarding")
        )

    @property
    def summary(self) -> str:
        """In plain words."""
        return f"have the host forward {'IPv4' if self.family == 'ipv4' else 'IPv6'}"

    @property
    def calls(self) -> tuple[Call, ...]:
        """What is done where it is off."""
        return sysctl(self.path, "1", when="when off")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsureTable:
    """The instance's tables of nft hold the rules of `bridge`, whose link address is `mac`."""

    table: str
    bridge: str
    mac: str
    owner: str
    nat: bool
    side: Side = Side.HOST

    @property
    def summary(self) -> str:
        """In plain words."""
        leaving = "masquerade what leaves it" if self.nat else "route what leaves it as it is"
        return f"guard {self.bridge} and {leaving}"

    @property
    def calls(self) -> tuple[Call, ...]:
        """What is done where the tables are missing or altered."""
        tables = f"table inet {self.table}, table bridge {self.table}"
        when = "when missing or altered"
        return (Call(name="execve", target="nft", man="nft(8)", detail=f"-f - ({tables})", when=when),)


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeVeth:
    """A pair of links: `link` is a port of `bridge`, `peer` with the link address `mac` is born inside the zone.

    The port accepts frames from `mac` alone (locked, with one static entry in the forwarding table), and, where it
    is `isolated`, exchanges none with other zones: it is in the group of links that the rules keep apart.
    """

    link: str
    bridge: str
    mac: str
    isolated: bool
    mtu: int | None = None
    peer: str = ZONE_LINK
    side: Side = Side.HOST

    @property
    def ipv6_switch(self) -> str:
        """The file that keeps the host's end from speaking IPv6, which would flood every port."""
        return sysctl_path("ipv6", self.link, "disable_ipv6")

    @property
    def summary(self) -> str:
        """In plain words."""
        return f"connect {self.peer} to {self.bridge} by {self.link}"

    @property
    def calls(self) -> tuple[Call, ...]:
        """A message that makes the pair and one that guards the port, sent together; then the address it may use."""
        mtu = f" mtu={self.mtu}" if self.mtu else ""
        group = f"group={'isolated' if self.isolated else 'open'}"
        peer = f"peer={self.peer} address={self.mac} net_ns_fd"
        guards = f"locked learning=0 unicast_flood=0 isolated={int(self.isolated)}"
        return (
            netlink("RTM_NEWLINK", f"{self.link} kind=veth master={self.bridge} {group} up{mtu} {peer}"),
            *sysctl(self.ipv6_switch, "1"),
            netlink("RTM_NEWLINK", f"{self.link} slave_kind=bridge {guards}"),
            netlink("RTM_NEWNEIGH", f"{self.mac} dev {self.link} master static"),
        )


SharedStep: TypeAlias = EnsureBridge | EnsureGate | EnsureForwarding | EnsureTable
