"""Steps that init takes in its own network namespace; they vanish with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from zonectl.model.steps import Call, Side
from zonectl.network.steps.calls import ZONE_LINK, netlink, sysctl, sysctl_path


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
        return (netlink("RTM_NEWLINK", "lo up"),)


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
        return tuple(call for path, value in self.sysctls for call in sysctl(path, value))


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
        return tuple(call for path, value in self.sysctls for call in sysctl(path, value))


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
        return (netlink("RTM_NEWADDR", f"{self.address} dev {self.link}"),)


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
        return (netlink("RTM_NEWLINK", f"{self.link} up"),)


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
        return (netlink("RTM_NEWROUTE", f"default via {self.gateway}"),)


InsideStep: TypeAlias = LoopbackUp | DisableIpv6 | FixIpv6 | SetAddress | LinkUp | DefaultRoute
