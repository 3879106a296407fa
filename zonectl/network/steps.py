"""Which steps connect a zone. Pure: configuration in, frozen steps out; the room's other modules carry them out."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final, TypeAlias

from zonectl.model.config import NetworkMode
from zonectl.model.instance import link_name
from zonectl.model.steps import Call, Side
from zonectl.network.addresses import bridge_mac, first_host, zone_mac

if TYPE_CHECKING:
    from zonectl.model.config import NetworkConfig
    from zonectl.model.instance import Instance
    from zonectl.model.steps import Binding

ZONE_LINK: Final = "eth0"
"""The name of a zone's link inside the zone."""

_RTNETLINK: Final = "rtnetlink(7)"
_BRIDGE_SYSCTLS: Final = (
    # Without these a zone could tell the host which way its packets should go.
    ("ipv4", "accept_redirects", "0"),
    ("ipv4", "send_redirects", "0"),
)
_BRIDGE_SYSCTLS_IPV6: Final = (("ipv6", "accept_ra", "0"), ("ipv6", "accept_redirects", "0"))


def mark(instance: Instance, *, nat: bool) -> str:
    """What the instance signs its bridges with (IFLA_IFALIAS): "zonectl:INST:nat" or "zonectl:INST:routed"."""
    return f"{owner_mark(instance)}{'nat' if nat else 'routed'}"


def owner_mark(instance: Instance) -> str:
    """What every mark of the instance begins with, and none of another."""
    return f"zonectl:{instance.id}:"


def sysctl_path(family: str, link: str, key: str) -> str:
    """The file of a link's setting. `/` instead of `.`: a link may be named "br0.5"."""
    return f"/proc/sys/net/{family}/conf/{link}/{key}"


def _netlink(message: str, detail: str) -> Call:
    return Call(name="sendto", target=f"NETLINK_ROUTE {message}", man=_RTNETLINK, detail=detail)


def _sysctl(path: str, value: str) -> tuple[Call, ...]:
    return (
        Call(name="openat", target=path, man="open(2)", detail="O_WRONLY"),
        Call(name="write", target=path, man="proc_sys_net(5)", detail=value),
    )


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
        return (
            _netlink("RTM_NEWLINK", f"{self.bridge} kind=bridge address={self.mac} stp=0 mcast_snooping=0"),
            _netlink("RTM_NEWLINK", f"{self.bridge} ifalias={self.mark}"),
            *(call for path, value in self.sysctls for call in _sysctl(path, value)),
            _netlink("RTM_NEWADDR", f"{self.address} dev {self.bridge}"),
            _netlink("RTM_NEWLINK", f"{self.bridge} up"),
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
        return _sysctl(self.path, "1")


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
        return (Call(name="execve", target="nft", man="nft(8)", detail=f"-f - ({tables})"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeVeth:
    """A pair of links: `link` is a port of `bridge`, `peer` with the link address `mac` is born inside the zone.

    The port accepts frames from `mac` alone (locked, with one static entry in the forwarding table), and, where it
    is `isolated`, exchanges none with other isolated ports.
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
        peer = f"peer={self.peer} address={self.mac} net_ns_fd"
        guards = f"locked learning=0 unicast_flood=0 isolated={int(self.isolated)}"
        return (
            _netlink("RTM_NEWLINK", f"{self.link} kind=veth master={self.bridge} up{mtu} {peer}"),
            *_sysctl(self.ipv6_switch, "1"),
            _netlink("RTM_NEWLINK", f"{self.link} slave_kind=bridge {guards}"),
            _netlink("RTM_NEWNEIGH", f"{self.mac} dev {self.link} master static"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopbackUp:
    """The zone's loopback works."""

    side: Side = Side.INSIDE

    @property
    def summary(self) -> str:
        """In plain words."""
        return "bring up the loopback"

    @property
    def calls(self) -> tuple[Call, ...]:
        """One message."""
        return (_netlink("RTM_NEWLINK", "lo up"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class DisableIpv6:
    """`link`, and every link made later, speaks no IPv6; loopback keeps ::1, which programs bind to."""

    link: str = ZONE_LINK
    side: Side = Side.INSIDE

    @property
    def sysctls(self) -> tuple[tuple[str, str], ...]:
        """Settings, as path and value."""
        return tuple((sysctl_path("ipv6", link, "disable_ipv6"), "1") for link in ("default", self.link))

    @property
    def summary(self) -> str:
        """In plain words."""
        return f"turn IPv6 off on {self.link}"

    @property
    def calls(self) -> tuple[Call, ...]:
        """Writes to the namespace's settings."""
        return tuple(call for path, value in self.sysctls for call in _sysctl(path, value))


@dataclass(frozen=True, slots=True, kw_only=True)
class FixIpv6:
    """`link` has the IPv6 address that it is given and takes no other: none of its own making, none advertised."""

    link: str = ZONE_LINK
    side: Side = Side.INSIDE

    @property
    def sysctls(self) -> tuple[tuple[str, str], ...]:
        """Settings, as path and value. addr_gen_mode 1 is IN6_ADDR_GEN_MODE_NONE: no link-local address."""
        chosen = (("accept_ra", "0"), ("accept_redirects", "0"), ("addr_gen_mode", "1"))
        return tuple((sysctl_path("ipv6", self.link, key), value) for key, value in chosen)

    @property
    def summary(self) -> str:
        """In plain words."""
        return f"refuse advertised IPv6 routes and addresses on {self.link}"

    @property
    def calls(self) -> tuple[Call, ...]:
        """Writes to the namespace's settings."""
        return tuple(call for path, value in self.sysctls for call in _sysctl(path, value))


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAddress:
    """`link` has `address` (with prefix)."""

    address: str
    link: str = ZONE_LINK
    side: Side = Side.INSIDE

    @property
    def summary(self) -> str:
        """In plain words."""
        return f"give {self.link} the address {self.address}"

    @property
    def calls(self) -> tuple[Call, ...]:
        """One message."""
        return (_netlink("RTM_NEWADDR", f"{self.address} dev {self.link}"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkUp:
    """`link` is up."""

    link: str = ZONE_LINK
    side: Side = Side.INSIDE

    @property
    def summary(self) -> str:
        """In plain words."""
        return f"bring up {self.link}"

    @property
    def calls(self) -> tuple[Call, ...]:
        """One message."""
        return (_netlink("RTM_NEWLINK", f"{self.link} up"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultRoute:
    """What is not in the subnet goes to `gateway`."""

    gateway: str
    side: Side = Side.INSIDE

    @property
    def summary(self) -> str:
        """In plain words."""
        return f"route by {self.gateway}"

    @property
    def calls(self) -> tuple[Call, ...]:
        """One message."""
        return (_netlink("RTM_NEWROUTE", f"default via {self.gateway}"),)


SharedStep: TypeAlias = EnsureBridge | EnsureForwarding | EnsureTable
InsideStep: TypeAlias = LoopbackUp | DisableIpv6 | FixIpv6 | SetAddress | LinkUp | DefaultRoute


def shared_steps(config: NetworkConfig, instance: Instance) -> tuple[SharedStep, ...]:
    """What the zones of an instance share on the host, made where it is missing."""
    if config.mode is not NetworkMode.VETH:
        return ()
    subnet = ip_network(config.subnet)
    gateway = config.gateway or first_host(config.subnet)
    mac = bridge_mac(instance.table, config.bridge)
    return (
        EnsureBridge(
            bridge=config.bridge,
            address=f"{gateway}/{subnet.prefixlen}",
            mac=mac,
            mark=mark(instance, nat=config.nat),
        ),
        EnsureForwarding(family=f"ipv{subnet.version}"),
        EnsureTable(
            table=instance.table, bridge=config.bridge, mac=mac, owner=owner_mark(instance), nat=config.nat
        ),
    )


def host_steps(config: NetworkConfig, instance: Instance, binding: Binding) -> tuple[MakeVeth, ...]:
    """What the host does for one zone; nothing of it outlives the zone's network namespace."""
    del instance  # the zone's id is enough of a name
    if config.mode is not NetworkMode.VETH:
        return ()
    return (
        MakeVeth(
            link=link_name(binding.zone_id),
            bridge=config.bridge,
            mac=_mac(binding.address),
            isolated=config.isolated,
            mtu=config.mtu,
        ),
    )


def inside_steps(config: NetworkConfig, binding: Binding) -> tuple[InsideStep, ...]:
    """What init does in its own network namespace."""
    match config.mode:
        case NetworkMode.HOST:
            return ()
        case NetworkMode.NONE:
            return (LoopbackUp(),)
        case NetworkMode.VETH:
            return (
                LoopbackUp(),
                FixIpv6() if ip_network(config.subnet).version == 6 else DisableIpv6(),  # noqa: PLR2004
                SetAddress(address=binding.address),
                LinkUp(),
                DefaultRoute(gateway=binding.gateway),
            )


def _mac(address: str) -> str:
    return "<mac: of the address>" if address.startswith("<") else zone_mac(address)
