"""Netlink's format, against what the kernel's headers say and against pyroute2's encoders."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

from zonectl.network import rtnetlink
from zonectl.network.wire import Reply, attribute, attributes, nested, outcome, replies, text, u32


@given(st.lists(st.tuples(st.integers(1, 200), st.binary(max_size=40)), unique_by=lambda pair: pair[0]))
def test_attributes_round_trip(pairs: list[tuple[int, bytes]]) -> None:
    packed = b"".join(attribute(kind, payload) for kind, payload in pairs)
    assert len(packed) % 4 == 0
    assert attributes(packed) == dict(pairs)


@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_loop_or_fail(noise: bytes) -> None:
    attributes(noise)
    list(replies(noise))


def test_nesting_is_marked_and_read() -> None:
    packed = nested(18, text(1, "veth"), u32(4, 1500))
    assert struct.unpack_from("=HH", packed)[1] == 18 | 0x8000
    assert attributes(attributes(packed)[18]) == {1: b"veth\0", 4: struct.pack("=I", 1500)}


def _acknowledgement(*, number: int, words: str, capped: bool, kind: int = 2) -> Reply:
    request = struct.pack("=IHHII", 36, 16, 5, 1, 0)
    payload = struct.pack("=i", -number) + (request if kind == 2 else b"")
    if kind == 2 and not capped:
        payload += bytes(20)
    return Reply(
        kind=kind, flags=0x200 | (0x100 if capped else 0), sequence=1, payload=payload + text(1, words)
    )


@pytest.mark.parametrize("capped", [True, False])
def test_the_kernels_words_are_found(capped: bool) -> None:
    reply = _acknowledgement(number=22, words="Invalid prefix length", capped=capped)
    assert outcome(reply) == (22, "Invalid prefix length")


def test_the_end_of_a_list_may_be_a_refusal() -> None:
    assert outcome(_acknowledgement(number=95, words="no", capped=False, kind=3)) == (95, "no")
    assert outcome(Reply(kind=3, flags=0, sequence=1, payload=b"")) == (0, "")
    assert outcome(Reply(kind=2, flags=0, sequence=1, payload=bytes(20))) == (0, "")


def test_the_pair_is_encoded_as_pyroute2_does() -> None:
    ours = rtnetlink.make_veth(
        "z00000001a", master=7, group=0x7A01, peer="eth0", mac="02:7a:0a:4d:00:05", netns_fd=9, mtu=1400
    )
    theirs = ifinfmsg()
    theirs["flags"] = theirs["change"] = 1
    peer = {
        "attrs": [
            ("IFLA_IFNAME", "eth0"),
            ("IFLA_ADDRESS", "02:7a:0a:4d:00:05"),
            ("IFLA_NET_NS_FD", 9),
            ("IFLA_MTU", 1400),
        ]
    }
    theirs["attrs"] = [
        ("IFLA_IFNAME", "z00000001a"),
        ("IFLA_MASTER", 7),
        ("IFLA_GROUP", 0x7A01),
        ("IFLA_MTU", 1400),
        (
            "IFLA_LINKINFO",
            {
                "attrs": [
                    ("IFLA_INFO_KIND", "veth"),
                    ("IFLA_INFO_DATA", {"attrs": [("VETH_INFO_PEER", peer)]}),
                ]
            },
        ),
    ]
    theirs.encode()
    assert _tree(ours.body[16:]) == _tree(bytes(theirs.data)[32:])
    assert ours.body[:16] == bytes(theirs.data)[16:32]


def _tree(packed: bytes) -> dict[int, bytes]:
    """The attributes, and those of the pair's levels from 100, 200 on, whatever flags the nests carry."""
    outer = attributes(packed)
    info = attributes(outer.pop(18))
    peer = attributes(info[2])[1]
    inner = {200 + kind: value for kind, value in attributes(peer, 16).items()}
    found = {**outer, 101: info[1], 102: peer[:16], **inner}
    # A name may come with its NUL or without.
    return {kind: value.rstrip(b"\0") if kind in {3, 101, 203} else value for kind, value in found.items()}
