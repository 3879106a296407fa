"""The rules of policy routing that stop a zone's packets when the firewall is gone: looked at, made, removed.

The messages are those of rtnetlink(7) and `<linux/fib_rules.h>`; RTM_NEWRULE is there since Linux 2.2, FRA_PROTOCOL
since 4.17.
"""

from __future__ import annotations

import errno
import struct
from ipaddress import ip_address, ip_interface, ip_network
from typing import TYPE_CHECKING, Final

from zonectl.errors import HostLacks, SyscallError
from zonectl.network import rtnetlink, sysctl
from zonectl.network.channel import open_channel
from zonectl.network.steps.gate import PROTOCOL, RoutingRule, gate_of, tag
from zonectl.network.wire import (
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    Request,
    attribute,
    attributes,
    text,
    u8,
    u32,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zonectl.model.instance import Instance
    from zonectl.network.channel import Channel
    from zonectl.network.steps.gate import EnsureGate

_AF_INET: Final = 2
_AF_INET6: Final = 10

_RTM_NEWRULE: Final = 32
_RTM_DELRULE: Final = 33
_RTM_GETRULE: Final = 34

_FRA_DST: Final = 1
_FRA_IIFNAME: Final = 3
_FRA_GOTO: Final = 4
_FRA_PRIORITY: Final = 6
_FRA_FWMARK: Final = 10
_FRA_TABLE: Final = 15
_FRA_FWMASK: Final = 16
_FRA_PROTOCOL: Final = 21

_FIB_RULE_INVERT: Final = 0x2
_FIB_RULE_UNRESOLVED: Final = 0x4
# A rule that means something else than it says; that its link is not there at the moment (8, 16) is no such thing.
_DISTORTED: Final = _FIB_RULE_INVERT | _FIB_RULE_UNRESOLVED

_OURS: Final = bytes((PROTOCOL,))
_FIB_RULE_HDR: Final = struct.Struct("=BBBBBBBBI")
_U32: Final = struct.Struct("=I")

_LACKING: Final = frozenset({errno.EAFNOSUPPORT, errno.EOPNOTSUPP})


def holds(step: EnsureGate) -> bool:
    """Whether every rule and setting of the step is there: one list of rules, which hosts have few of.

    Raises:
        SyscallError: the kernel cannot be asked.

    """
    return all(_is_set(path) for path, _ in step.settings) and not _missing(step)


def stands(instance: Instance, bridge: str, subnets: Sequence[str]) -> bool:
    """Whether the gate of each of the `subnets` of a bridge is whole.

    Raises:
        SyscallError: the kernel cannot be asked.

    """
    return all(holds(gate_of(instance, bridge, subnet)) for subnet in subnets)


def subnets(index: int) -> list[str]:
    """The bridge's addresses with their prefixes, without those of the link alone; `index` is its link's.

    Raises:
        SyscallError: the kernel cannot be asked.

    """
    with open_channel() as channel:
        held = [
            rtnetlink.parse_address(payload)
            for ipv6 in (False, True)
            for payload in channel.ask(rtnetlink.list_addresses(index, ipv6=ipv6))[0]
        ]
    return [address for address in held if not ip_interface(address).is_link_local]


def ensure(step: EnsureGate) -> None:
    """Make what is missing of the step; the bridge is there.

    Raises:
        HostLacks: the kernel has no policy routing.
        SyscallError: a rule or a setting is refused.

    """
    with open_channel() as channel:
        for answer in channel.try_ask(*(_make(rule) for rule in _missing(step))):
            if answer.error is None or answer.error.errno == errno.EEXIST:
                continue
            if answer.error.errno in _LACKING:
                hint = (
                    "a kernel with CONFIG_IP_MULTIPLE_TABLES and CONFIG_IPV6_MULTIPLE_TABLES: zonectl doctor"
                )
                words = "the kernel has no rules of routing, which stop zones whose firewall is lost"
                raise HostLacks(words, hint=hint) from answer.error
            raise answer.error
    for path, value in step.settings:
        if not _is_set(path):
            sysctl.write(path, value)


def is_there(instance: Instance) -> bool:
    """Whether any rule of the instance is.

    Raises:
        SyscallError: the kernel cannot be asked.

    """
    with open_channel() as channel:
        return bool(_ours(channel, instance))


def remove(instance: Instance) -> None:
    """Delete the instance's rules. Gone is fine.

    Raises:
        SyscallError: the kernel refuses.

    """
    with open_channel() as channel:
        for answer in channel.try_ask(*map(_delete, _ours(channel, instance))):
            if answer.error is not None and answer.error.errno != errno.ENOENT:
                raise answer.error


def parse(payload: bytes) -> RoutingRule | None:
    """The rule that a RTM_NEWRULE message tells of; None for one that zonectl has not made."""
    family, length, _src, _tos, _table, _, _, action, flags = _FIB_RULE_HDR.unpack_from(payload)
    found = attributes(payload, _FIB_RULE_HDR.size)
    if found.get(_FRA_PROTOCOL) != _OURS:
        return None
    return RoutingRule(
        is_ipv6=family == _AF_INET6,
        priority=_number(found, _FRA_PRIORITY),
        action=action,
        tag=_number(found, _FRA_TABLE),
        to=f"{ip_address(found[_FRA_DST])}/{length}" if _FRA_DST in found else "",
        iif=found.get(_FRA_IIFNAME, b"").rstrip(b"\0").decode(errors="replace"),
        # A mark that is asked for makes it another rule: none of ours asks for one.
        mask=_number(found, _FRA_FWMASK) if not _number(found, _FRA_FWMARK) else -1,
        target=_number(found, _FRA_GOTO),
        flags=flags & _DISTORTED,
    )


def _is_set(path: str) -> bool:
    try:
        # systemd-udevd may have made the check a loose one (2), which is as good here: there is no way back at all.
        return sysctl.read(path) != "0"
    except SyscallError as error:
        if error.errno == errno.ENOENT:
            return False
        raise


def _missing(step: EnsureGate) -> list[RoutingRule]:
    with open_channel() as channel:
        there = _list(channel, ipv6=step.is_ipv6)
    return [rule for rule in step.rules if rule not in there]


def _ours(channel: Channel, instance: Instance) -> list[RoutingRule]:
    rules = (rule for ipv6 in (False, True) for rule in _list(channel, ipv6=ipv6))
    return [rule for rule in rules if rule.tag == tag(instance)]


def _list(channel: Channel, *, ipv6: bool) -> list[RoutingRule]:
    """The rules that zonectl has made, of whichever instance."""
    body = _FIB_RULE_HDR.pack(_AF_INET6 if ipv6 else _AF_INET, 0, 0, 0, 0, 0, 0, 0, 0)
    (answer,) = channel.try_ask(
        Request(kind=_RTM_GETRULE, flags=NLM_F_DUMP, body=body, call="RTM_GETRULE", subject="rules")
    )
    if answer.error is not None and answer.error.errno not in _LACKING:
        raise answer.error
    return [rule for payload in answer.payloads if (rule := parse(payload)) is not None]


def _make(rule: RoutingRule) -> Request:
    flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL
    return Request(kind=_RTM_NEWRULE, flags=flags, body=_body(rule), call="RTM_NEWRULE", subject=rule.text)


def _delete(rule: RoutingRule) -> Request:
    return Request(
        kind=_RTM_DELRULE, flags=NLM_F_ACK, body=_body(rule), call="RTM_DELRULE", subject=rule.text
    )


def _body(rule: RoutingRule) -> bytes:
    to = ip_network(rule.to) if rule.to else None
    family = _AF_INET6 if rule.is_ipv6 else _AF_INET
    return b"".join(
        (
            _FIB_RULE_HDR.pack(family, to.prefixlen if to else 0, 0, 0, 0, 0, 0, rule.action, 0),
            u32(_FRA_PRIORITY, rule.priority),
            u32(_FRA_TABLE, rule.tag),
            u8(_FRA_PROTOCOL, PROTOCOL),
            attribute(_FRA_DST, to.network_address.packed) if to else b"",
            text(_FRA_IIFNAME, rule.iif) if rule.iif else b"",
            u32(_FRA_FWMARK, 0) + u32(_FRA_FWMASK, rule.mask) if rule.mask else b"",
            u32(_FRA_GOTO, rule.target) if rule.target else b"",
        )
    )


def _number(found: dict[int, bytes], kind: int) -> int:
    return int(_U32.unpack(found.get(kind, bytes(4)))[0])
