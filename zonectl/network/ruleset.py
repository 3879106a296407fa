"""The rules of an instance, as text for nft(8), and what the kernel must say of them while they are untouched. Pure.

Two tables, both named after the instance and made from its bridges alone, never from its zones, so that no start
and no stop of a zone touches a rule:

- `bridge`: a frame's source address must be the one that goes with its link address (`addresses.zone_mac`), which
  its port is locked to. Both are compared byte by byte, in a set of the 256 pairs of equal bytes. And no frame goes
  from or to an isolated zone but the host's: the kernel's own isolation of ports lets them meet open ones.
- `inet`: nothing is forwarded to a zone but answers, and what leaves by another link is masqueraded.

Both together mark what may be routed: without either, nothing is. Two bits, since each has to have seen the packet.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from zonectl.network.addresses import MAC_PREFIX_IPV4, MAC_PREFIX_IPV6

if TYPE_CHECKING:
    from collections.abc import Iterable

NFPROTO_INET: Final = 1
NFPROTO_BRIDGE: Final = 7

GROUP_ISOLATED: Final = 0x7A01
"""The group (IFLA_GROUP) of the ports of isolated zones, by which rules know them."""

GROUP_OPEN: Final = 0x7A02
"""The group of the ports of zones that are not."""

MARK_PINNED: Final = 0x10000000
"""The bit of a packet's mark that table bridge sets: the packet has its zone's own address."""

MARK_SEEN: Final = 0x20000000
"""The bit that table inet sets instead, without which nothing is routed from or to a zone (`network.gate`)."""

FAMILIES: Final = {NFPROTO_INET: "inet", NFPROTO_BRIDGE: "bridge"}

# Where the bytes to compare begin, in bits: the last four of the frame's source address, of the sender's address in
# an ARP packet (RFC 826), of the source in an IPv4 and in an IPv6 header, of the target in a neighbour advertisement.
_MAC_TAIL: Final = 64
_ARP_SENDER: Final = 112
_IPV4_SOURCE: Final = 96
_IPV6_SOURCE_TAIL: Final = 160
_ADVERTISED_TAIL: Final = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeRules:
    """What the rules depend on: a bridge, its link address, and whether its zones are masqueraded."""

    bridge: str
    mac: str
    nat: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A chain: `head` makes it a base chain, `jumps` counts the references to it, `comment` is kept with it."""

    name: str
    rules: tuple[str, ...]
    head: str = ""
    jumps: int = 0
    comment: str = ""

    @property
    def uses(self) -> int:
        """What the kernel counts (NFTA_CHAIN_USE): rules and references."""
        return len(self.rules) + self.jumps

    def text(self) -> str:
        """For nft."""
        lines = (
            *((f'comment "{self.comment}"',) if self.comment else ()),
            *((self.head,) if self.head else ()),
        )
        body = "".join(f"\t\t{line}\n" for line in (*lines, *self.rules))
        return f"\tchain {self.name} {{\n{body}\t}}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """A table (`chain` empty: no flags) or a chain (with `uses` uses) whose comment holds `comment`."""

    family: int
    table: str
    comment: str
    chain: str = ""
    uses: int = 0


def render(table: str, bridges: Iterable[BridgeRules]) -> str:
    """One transaction that replaces both tables of the instance by the rules of these bridges."""
    chains = inet_chains(tuple(sorted(set(bridges), key=lambda rules: rules.bridge)))
    return _replaced("inet", table, "".join(chain.text() for chain in chains)) + _replaced(
        "bridge", table, _pairs() + "".join(chain.text() for chain in pin_chains())
    )


def removal(table: str) -> str:
    """One transaction after which neither table is there, whether or not it was."""
    return "".join(_emptied(family, table) for family in FAMILIES.values())


def expectations(table: str, rules: BridgeRules) -> tuple[Expectation, ...]:
    """What the kernel says of the tables while the rules for this bridge are all there."""
    inet = (*_base_chains((rules,)), *_bridge_chains(rules))
    families = ((NFPROTO_INET, inet), (NFPROTO_BRIDGE, pin_chains()))
    return tuple(
        expectation
        for family, chains in families
        for expectation in (
            Expectation(family=family, table=table, comment=_STAMP),
            *(
                Expectation(
                    family=family, table=table, comment=chain.comment, chain=chain.name, uses=chain.uses
                )
                for chain in chains
            ),
        )
    )


def inet_chains(bridges: tuple[BridgeRules, ...]) -> tuple[Chain, ...]:
    """The chains of table inet."""
    return (*(chain for rules in bridges for chain in _bridge_chains(rules)), *_base_chains(bridges))


def pin_chains() -> tuple[Chain, ...]:
    """The chains of table bridge: addresses pinned to link addresses, nothing but ARP and IP, isolated zones apart."""
    advertised = _same("th", _ADVERTISED_TAIL)
    zones = f"{GROUP_ISOLATED}-{GROUP_OPEN}"
    return (
        Chain(
            name="pin_ipv4",
            jumps=1,
            rules=(
                f"ether type arp {_same('nh', _ARP_SENDER)} accept",
                f"ether type ip {_same('nh', _IPV4_SOURCE)} {_marked(MARK_PINNED)} accept",
                "drop",
            ),
        ),
        Chain(
            name="pin_ipv6_source",
            jumps=2,
            rules=(f"{_same('nh', _IPV6_SOURCE_TAIL)} {_marked(MARK_PINNED)} accept", "drop"),
        ),
        Chain(
            name="pin_ipv6",
            jumps=1,
            rules=(
                "ether type != ip6 drop",
                "icmpv6 type { nd-router-advert, nd-redirect } drop",
                f"icmpv6 type nd-neighbor-advert {advertised} goto pin_ipv6_source",
                "icmpv6 type nd-neighbor-advert drop",
                "goto pin_ipv6_source",
            ),
        ),
        Chain(
            name="prerouting",
            head="type filter hook prerouting priority -300; policy accept;",
            rules=(
                f"iifgroup {zones} ether saddr & ff:ff:00:00:00:00 == {MAC_PREFIX_IPV4}:00:00:00:00 goto pin_ipv4",
                f"iifgroup {zones} ether saddr & ff:ff:00:00:00:00 == {MAC_PREFIX_IPV6}:00:00:00:00 goto pin_ipv6",
            ),
        ),
        Chain(
            name="forward",
            head="type filter hook forward priority -200; policy accept;",
            rules=(
                f"iifgroup {GROUP_ISOLATED} oifgroup {zones} drop",
                f"iifgroup {GROUP_OPEN} oifgroup {GROUP_ISOLATED} drop",
            ),
        ),
    )


def _bridge_chains(rules: BridgeRules) -> tuple[Chain, Chain]:
    name = rules.bridge
    arriving = (
        "ct state established,related accept",
        # With bridge-nf-call-iptables, frames between ports come by here too; the ports have decided on those. What a
        # zone asks the host to pass to another zone has the bridge's own link address, and would evade them.
        f'iifname "{name}" ether daddr != {rules.mac} accept',
        "drop",
    )
    # Unique local addresses (RFC 4193) lead nowhere outside either; global ones need no translation.
    leaving = (
        f'oifname != "{name}" meta nfproto ipv4 masquerade',
        f'oifname != "{name}" ip6 saddr fc00::/7 masquerade',
    )
    return (
        Chain(name=f"to_{name}", jumps=1, rules=arriving, comment=_digest(*arriving)),
        Chain(
            name=f"from_{name}",
            jumps=1,
            rules=leaving if rules.nat else (),
            comment=_digest(*leaving) if rules.nat else "routed",
        ),
    )


def _base_chains(bridges: tuple[BridgeRules, ...]) -> tuple[Chain, ...]:
    names = ", ".join(f'"{rules.bridge}"' for rules in bridges)
    both, seen = f"{MARK_PINNED | MARK_SEEN:#x}", f"{MARK_SEEN:#x}"
    to = ", ".join(f'"{rules.bridge}" : jump to_{rules.bridge}' for rules in bridges)
    leaving = ", ".join(f'"{rules.bridge}" : jump from_{rules.bridge}' for rules in bridges)
    return (
        Chain(
            name="admit",
            # After connections are known and addresses translated back (-200, -100), before the way is looked up.
            head="type filter hook prerouting priority -50; policy accept;",
            rules=(
                f"iifname {{ {names} }} meta mark & {both} == {MARK_PINNED:#x} meta mark set meta mark ^ {both} accept",
                f"fib daddr oifname {{ {names} }} ct state established,related {_marked(MARK_SEEN)}",
            ),
        ),
        Chain(
            name="forward",
            head="type filter hook forward priority filter; policy accept;",
            # The way is found; other programs' rules and links need not see the mark.
            rules=(
                f"meta mark & {seen} != 0 meta mark set meta mark ^ {seen}",
                f"oifname vmap {{ {to} }}",
            ),
        ),
        Chain(
            name="postrouting",
            # The link that a packet came by is known in this hook since Linux 5.7.
            head="type nat hook postrouting priority srcnat; policy accept;",
            rules=(f"iifname vmap {{ {leaving} }}",),
        ),
    )


def _marked(bit: int) -> str:
    """Sets one bit of the mark; the others, which are somebody else's, stay."""
    return f"meta mark set meta mark | {bit:#x}"


def _same(base: str, offset: int) -> str:
    """Matches where four bytes from `offset` bits in `base` on are the link address's last four."""
    return " ".join(f"@ll,{_MAC_TAIL + bit},8 . @{base},{offset + bit},8 @same" for bit in range(0, 32, 8))


def _pairs() -> str:
    # A constant set cannot be changed while rules use it.
    pairs = ", ".join(f"{byte:#x} . {byte:#x}" for byte in range(256))
    typed = f"typeof @ll,{_MAC_TAIL},8 . @nh,{_IPV4_SOURCE},8"
    return f"\tset same {{\n\t\t{typed}\n\t\tflags constant\n\t\telements = {{ {pairs} }}\n\t}}\n"


def _emptied(family: str, table: str) -> str:
    # Naming it makes it, so that deleting it cannot fail.
    return f"table {family} {table}\ndelete table {family} {table}\n"


def _replaced(family: str, table: str, body: str) -> str:
    return f'{_emptied(family, table)}table {family} {table} {{\n\tcomment "{_STAMP}"\n{body}}}\n'


def _digest(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


_STAMP: Final = _digest(*(chain.text() for chain in (*pin_chains(), *_base_chains(()))))
"""In the comment of each table: another release, with other rules for every bridge, replaces them."""
