"""The step that keeps a zone's packets from being routed while the instance's tables of nft are not there."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final

from zonectl.model.steps import Call, Side
from zonectl.network.ruleset import MARK_SEEN
from zonectl.network.steps.calls import netlink, sysctl, sysctl_path

if TYPE_CHECKING:
    from zonectl.model.instance import Instance

PRIORITY: Final = 122
"""Of the first of the rules; the others follow it. Before those of VPNs, behind that of local addresses (0)."""

PROTOCOL: Final = 122
"""Who made a rule (FRA_PROTOCOL): a number that no routing daemon has in rt_protos."""

FR_ACT_GOTO: Final = 2
FR_ACT_NOP: Final = 3
FR_ACT_BLACKHOLE: Final = 6

_TAG: Final = 0x7A000000
_TAG_OF_DEFAULT: Final = 0x7B000000
_ACTIONS: Final = {FR_ACT_NOP: "nop", FR_ACT_BLACKHOLE: "blackhole"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingRule:
    """A rule of policy routing (ip-rule(8)): whose mark has no bit of `mask`, from link `iif`, to the network `to`.

    What is empty or 0 is not asked for. `tag` is the table that the rule names: none of its actions uses one, so that
    it is free to say whose the rule is.
    """

    is_ipv6: bool
    priority: int
    action: int
    tag: int
    to: str = ""
    iif: str = ""
    mask: int = 0
    target: int = 0
    flags: int = 0

    @property
    def text(self) -> str:
        """As ip-rule(8) has it."""
        selectors = (
            f"priority {self.priority}",
            f"to {self.to}" if self.to else "",
            f"iif {self.iif}" if self.iif else "",
            f"fwmark 0/{self.mask:#x}" if self.mask else "",
            f"goto {self.target}"
            if self.action == FR_ACT_GOTO
            else _ACTIONS.get(self.action, str(self.action)),
        )
        return " ".join(word for word in selectors if word)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsureGate:
    """Packets from and to `subnet` on `bridge` are routed only where the instance's tables have marked them.

    The rules refuse what is to go to the subnet without the mark, unless the host itself sends it. What comes from a
    zone is refused by the bridge's own check of sources, which asks for the way back to the zone, with the mark that
    the packet has: for one without, there is none. IPv6 has no such check, and a rule for what comes from the bridge.
    """

    bridge: str
    subnet: str
    tag: int
    side: Side = Side.HOST

    @property
    def is_ipv6(self) -> bool:
        """Whether the rules are those of IPv6."""
        return ":" in self.subnet

    @property
    def rules(self) -> tuple[RoutingRule, ...]:
        """In an order in which the host never loses its own way to the zones."""
        end = PRIORITY + 2
        return (
            self._rule(priority=end, action=FR_ACT_NOP, to=self.subnet),
            self._rule(priority=PRIORITY, action=FR_ACT_GOTO, to=self.subnet, iif="lo", target=end),
            self._rule(priority=PRIORITY + 1, action=FR_ACT_BLACKHOLE, to=self.subnet, mask=MARK_SEEN),
            *(
                (self._rule(priority=PRIORITY + 1, action=FR_ACT_BLACKHOLE, iif=self.bridge, mask=MARK_SEEN),)
                if self.is_ipv6
                else ()
            ),
        )

    @property
    def settings(self) -> tuple[tuple[str, str], ...]:
        """Settings of the bridge, as path and value: check sources (RFC 3704), by the packet's own mark."""
        keys = () if self.is_ipv6 else ("src_valid_mark", "rp_filter")
        return tuple((sysctl_path("ipv4", self.bridge, key), "1") for key in keys)

    @property
    def summary(self) -> str:
        """In plain words."""
        return f"route nothing from or to {self.subnet} that the rules of {self.bridge} have not seen"

    @property
    def calls(self) -> tuple[Call, ...]:
        """What is done where a rule or setting is missing."""
        when = "when missing"
        return (
            *(netlink("RTM_NEWRULE", rule.text, when=when) for rule in self.rules),
            *(call for path, value in self.settings for call in sysctl(path, value, when=when)),
        )

    def _rule(
        self, *, priority: int, action: int, to: str = "", iif: str = "", mask: int = 0, target: int = 0
    ) -> RoutingRule:
        return RoutingRule(
            is_ipv6=self.is_ipv6,
            priority=priority,
            action=action,
            tag=self.tag,
            to=to,
            iif=iif,
            mask=mask,
            target=target,
        )


def gate_of(instance: Instance, bridge: str, subnet: str) -> EnsureGate:
    """The gate of a subnet, or of any address in it with prefix, on a bridge of the instance."""
    return EnsureGate(bridge=bridge, subnet=str(ip_network(subnet, strict=False)), tag=tag(instance))


def tag(instance: Instance) -> int:
    """The number that the instance's rules bear in place of a table."""
    return _TAG + int(instance.id, 16) if instance.id else _TAG_OF_DEFAULT
