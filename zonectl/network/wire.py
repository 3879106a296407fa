"""Netlink's wire format: messages, attributes, and the kernel's answers. Bytes in, bytes out; netlink(7)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

NLM_F_REQUEST: Final = 0x1
NLM_F_ACK: Final = 0x4
NLM_F_REPLACE: Final = 0x100
NLM_F_EXCL: Final = 0x200
NLM_F_CREATE: Final = 0x400
NLM_F_DUMP: Final = 0x300

NLMSG_ERROR: Final = 2
NLMSG_DONE: Final = 3

NLA_F_NESTED: Final = 0x8000
_NLA_TYPE_MASK: Final = 0x3FFF
_NLM_F_CAPPED: Final = 0x100
_NLM_F_ACK_TLVS: Final = 0x200
_NLMSGERR_ATTR_MSG: Final = 1

_HEADER: Final = struct.Struct("=IHHII")
_ATTRIBUTE: Final = struct.Struct("=HH")
_U32: Final = struct.Struct("=I")
_ERRNO: Final = struct.Struct("=i")
_PADDING: Final = (b"", b"\0\0\0", b"\0\0", b"\0")


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    return _ATTRIBUTE.pack(4 + len(payload), kind) + payload + _PADDING[len(payload) & 3]


def nested(kind: int, *attributes: bytes) -> bytes:
    """An attribute that holds others."""
    return attribute(kind | NLA_F_NESTED, b"".join(attributes))


def text(kind: int, value: str) -> bytes:
    """A string, with the NUL that the kernel wants."""
    return attribute(kind, value.encode() + b"\0")


def u32(kind: int, value: int) -> bytes:
    """A number of 32 bits in the host's order."""
    return attribute(kind, _U32.pack(value))


def u8(kind: int, value: int) -> bytes:
    """A number of 8 bits."""
    return attribute(kind, bytes((value,)))


def link_address(text: str) -> bytes:
    """The bytes of a link address ("02:7a:0a:4d:00:05")."""
    return bytes.fromhex(text.replace(":", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A message to be sent: its type, NLM_F_* flags, body, and what it is about, for errors."""

    kind: int
    flags: int
    body: bytes
    call: str
    subject: str

    def pack(self, sequence: int) -> bytes:
        """The whole message; `sequence` comes back in the answers."""
        length = _HEADER.size + len(self.body)
        header = _HEADER.pack(length, self.kind, self.flags | NLM_F_REQUEST, sequence, 0)
        return header + self.body + _PADDING[length & 3]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A message of the kernel's."""

    kind: int
    flags: int
    sequence: int
    payload: bytes


def replies(datagram: bytes) -> Iterator[Reply]:
    """The messages in what was received."""
    offset = 0
    while offset + _HEADER.size <= len(datagram):
        length, kind, flags, sequence, _port = _HEADER.unpack_from(datagram, offset)
        payload = datagram[offset + _HEADER.size : offset + length]
        yield Reply(kind=kind, flags=flags, sequence=sequence, payload=payload)
        offset += (length + 3) & ~3 or len(datagram)


def attributes(payload: bytes, offset: int = 0) -> dict[int, bytes]:
    """The attributes from `offset` on, by type; of several of one type the last."""
    found = {}
    while offset + 4 <= len(payload):
        length, kind = _ATTRIBUTE.unpack_from(payload, offset)
        found[kind & _NLA_TYPE_MASK] = payload[offset + 4 : offset + length]
        offset += (length + 3) & ~3 or len(payload)
    return found


def outcome(reply: Reply) -> tuple[int, str]:
    """The errno of an NLMSG_ERROR or NLMSG_DONE (0: it was done), and the kernel's own words, if any.

    The words are an attribute after the error and, unless the answer is capped, the request (NETLINK_EXT_ACK).
    """
    if len(reply.payload) < _ERRNO.size:
        return 0, ""
    (negative,) = _ERRNO.unpack_from(reply.payload)
    if not reply.flags & _NLM_F_ACK_TLVS:
        return -negative, ""
    offset = _ERRNO.size
    if reply.kind == NLMSG_ERROR:
        request_length, *_ = _HEADER.unpack_from(reply.payload, offset)
        offset += _HEADER.size if reply.flags & _NLM_F_CAPPED else (request_length + 3) & ~3
    words = attributes(reply.payload, offset).get(_NLMSGERR_ATTR_MSG, b"")
    return -negative, words.rstrip(b"\0").decode(errors="replace")
