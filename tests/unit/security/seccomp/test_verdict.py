"""What a filter says of a call whatever its arguments are, against the profile that it was compiled from."""

from __future__ import annotations

import struct

import pytest

from zonectl.model.seccomp import Filter
from zonectl.security.seccomp import builtin, verdict
from zonectl.security.seccomp.architectures import native
from zonectl.security.seccomp.compiler import compile_profile
from zonectl.security.seccomp.profile import ALLOW

NEVER = {"clone", "ioctl", "personality", "socket", "socketpair", "unshare"}
"""Calls of the profile `default` whose arguments decide."""


def of(name: str) -> Filter:
    """The filter of a profile of ours."""
    profile = builtin.named(name, nesting=False)
    return Filter(name=name, digest="", program=compile_profile(profile, native()))


@pytest.mark.parametrize("name", ["default", "strict"])
def test_it_is_what_the_profile_says_of_each_call(name: str) -> None:
    found, profile, here = of(name), builtin.named(name, nesting=False), native()
    allowed = set()
    for call, number in here.numbers.items():
        without = profile.decide(here, number, (0,) * 6)
        every = profile.decide(here, number, ((1 << 64) - 1,) * 6)
        if verdict.allows(found, call):
            assert without == every == ALLOW, call
            allowed.add(call)
        else:
            assert call in NEVER or ALLOW not in {without, every}, call
    assert {"recvmsg", "execve", "read"} <= allowed


def test_a_program_of_another_hand_allows_nothing() -> None:
    for instruction in (
        struct.pack("=HBBI", 0x20, 0, 0, 16),  # an argument
        struct.pack("=HBBI", 0x06, 0, 0, 0x7FFC0000),  # SECCOMP_RET_LOG
        struct.pack("=HBBI", 0x16, 0, 0, 0),  # ret A
        struct.pack("=HBBI", 0x05, 0, 0, 5),  # beyond its end
        b"",
    ):
        assert not verdict.allows(Filter(name="", digest="", program=instruction), "recvmsg")
