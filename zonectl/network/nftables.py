"""The instance's tables in the kernel: a look that costs microseconds, a replacement by nft(8) when it is needed."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from zonectl.errors import CommandError, HostLacks
from zonectl.kernel import command
from zonectl.network.channel import NETLINK_NETFILTER, open_channel
from zonectl.network.ruleset import FAMILIES, Expectation, removal
from zonectl.network.wire import Request, attributes, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zonectl.network.channel import Answer

_NFT_GETTABLE: Final = 10 << 8 | 1
_NFT_GETCHAIN: Final = 10 << 8 | 4
_NFTA_TABLE_NAME: Final = 1
_NFTA_TABLE_FLAGS: Final = 2
_NFTA_TABLE_USERDATA: Final = 6
_NFTA_CHAIN_TABLE: Final = 1
_NFTA_CHAIN_NAME: Final = 3
_NFTA_CHAIN_USE: Final = 6
_NFTA_CHAIN_USERDATA: Final = 12

_NFGENMSG: Final = struct.Struct(">BBH")
_BE32: Final = struct.Struct(">I")
_NO_FLAGS: Final = _BE32.pack(0)

_NFT_TIMEOUT_S: Final = 30.0


def are_intact(expected: Sequence[Expectation]) -> bool:
    """Whether every table and chain is there, awake, with its comment and as many rules as it should have.

    A rule that somebody replaced by another one is not noticed.

    Raises:
        SyscallError: the kernel cannot be asked.

    """
    with open_channel(NETLINK_NETFILTER) as channel:
        answers = channel.try_ask(*(_question(one) for one in expected))
    return all(_is_met(one, answer) for one, answer in zip(expected, answers, strict=True))


def is_there(table: str) -> bool:
    """Whether any table of that name is.

    Raises:
        SyscallError: the kernel cannot be asked.

    """
    asked = (_question(Expectation(family=family, table=table, comment="")) for family in FAMILIES)
    with open_channel(NETLINK_NETFILTER) as channel:
        return any(answer.error is None for answer in channel.try_ask(*asked))


def load(rules: str) -> None:
    """Have nft carry out `rules`, all or none of them. 5 to 20 ms.

    Raises:
        HostLacks: nft is missing, or refuses the rules.

    """
    try:
        command.run(["nft", "-f", "-"], stdin=rules.encode(), timeout_s=_NFT_TIMEOUT_S)
    except CommandError as error:
        hint = "zonectl needs nftables with the families inet and bridge: zonectl doctor"
        raise HostLacks(f"the rules of the network cannot be set: {error}", hint=hint) from error


def remove(table: str) -> None:
    """Delete the instance's tables. Gone is fine.

    Raises:
        HostLacks: nft fails.
        SyscallError: the kernel cannot be asked.

    """
    if is_there(table):
        load(removal(table))


def _question(expected: Expectation) -> Request:
    header = _NFGENMSG.pack(expected.family, 0, 0)
    subject = f"table {FAMILIES[expected.family]} {expected.table} {expected.chain}".rstrip()
    if not expected.chain:
        body = header + text(_NFTA_TABLE_NAME, expected.table)
        return Request(kind=_NFT_GETTABLE, flags=0, body=body, call="NFT_MSG_GETTABLE", subject=subject)
    body = header + text(_NFTA_CHAIN_TABLE, expected.table) + text(_NFTA_CHAIN_NAME, expected.chain)
    return Request(kind=_NFT_GETCHAIN, flags=0, body=body, call="NFT_MSG_GETCHAIN", subject=subject)


def _is_met(expected: Expectation, answer: Answer) -> bool:
    if answer.error is not None or not answer.payloads:
        return False
    found = attributes(answer.payloads[0], _NFGENMSG.size)
    if expected.chain:
        kept, value = _NFTA_CHAIN_USERDATA, found.get(_NFTA_CHAIN_USE) == _BE32.pack(expected.uses)
    else:
        # A dormant table has its rules, and does nothing.
        kept, value = _NFTA_TABLE_USERDATA, found.get(_NFTA_TABLE_FLAGS, _NO_FLAGS) == _NO_FLAGS
    return value and expected.comment.encode() in found.get(kept, b"")
