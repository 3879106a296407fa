"""From what was seen to a profile that allows it and nothing else."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonectl.security.seccomp import observed
from zonectl.security.seccomp.architectures import AARCH64, X86_64
from zonectl.security.seccomp.builtin import CLONE_NAMESPACES, named
from zonectl.security.seccomp.compiler import compile_profile
from zonectl.security.seccomp.observed import TELLING, Permission, Seen
from zonectl.security.seccomp.profile import ALLOW, ENOSYS, EPERM, fails

if TYPE_CHECKING:
    from zonectl.security.seccomp.architectures import Architecture
    from zonectl.security.seccomp.profile import Profile

DEFAULT = named("default", nesting=False)
NUMBERS = X86_64.numbers
I386 = 0x40000003
NOTHING = (0,) * 6


def seen(name: str, value: int | None = None) -> Seen:
    return Seen(X86_64.audit, NUMBERS[name], value, 1)


def decide(profile: Profile, name: str, **arguments: int) -> object:
    given_ = list(NOTHING)
    for which, value in arguments.items():
        given_[int(which[1:])] = value
    return profile.decide(X86_64, NUMBERS[name], tuple(given_))


def test_what_was_seen_is_allowed_and_the_rest_answered_as_before() -> None:
    granted = observed.permissions([seen("read"), seen("socket", 2), seen("ioctl", 0x5401)], X86_64)
    profile = observed.profile("web", granted, within=DEFAULT)
    assert decide(profile, "read") == ALLOW
    assert decide(profile, "write") == EPERM
    assert decide(profile, "socket", a0=2) == ALLOW
    assert decide(profile, "socket", a0=1) == fails(errno.EAFNOSUPPORT)
    assert decide(profile, "ioctl", a1=0x5401) == ALLOW
    assert decide(profile, "ioctl", a1=0x5401 | 1 << 40) == ALLOW  # an int: the kernel drops the upper half
    assert decide(profile, "ioctl", a1=0x5412) == EPERM
    assert profile.decide(X86_64, 9999, NOTHING) == ENOSYS


def test_a_call_that_libraries_fall_back_from_stays_unknown_to_them() -> None:
    profile = observed.profile("web", [Permission("clone", 0)], within=DEFAULT)
    assert decide(profile, "clone3") == ENOSYS
    assert decide(profile, "keyctl") == ENOSYS
    assert decide(profile, "clone", a0=0x11) == ALLOW
    assert decide(profile, "clone", a0=0x11 | 0x10000000) == EPERM


def test_flags_that_open_nothing_are_not_told_apart() -> None:
    where = observed.telling(X86_64)[X86_64.audit, NUMBERS["clone"]]
    assert where == (0, CLONE_NAMESPACES)
    assert 0x01200011 & where[1] == 0  # CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | SIGCHLD


def test_a_call_with_too_many_values_is_allowed_as_far_as_it_was_before() -> None:
    granted = observed.permissions([seen("ioctl"), seen("ioctl", 0x5401)], X86_64)
    assert granted == (Permission("ioctl"),)
    profile = observed.profile("web", granted, within=DEFAULT)
    assert decide(profile, "ioctl", a1=0x1234) == ALLOW
    assert decide(profile, "ioctl", a1=0x5412) == EPERM  # TIOCSTI
    profile = observed.profile("web", [Permission("socket")], within=DEFAULT)
    assert decide(profile, "socket", a0=38) == fails(errno.EAFNOSUPPORT)  # AF_ALG


def test_calls_that_no_profile_can_allow_are_told() -> None:
    strange = [Seen(I386, 1, None, 1), Seen(X86_64.audit, 9999, None, 1), seen("read")]
    assert observed.permissions(strange, X86_64) == (Permission("read"),)
    assert observed.foreign(strange, X86_64) == (
        "call number 9999, which zonectl does not know",
        "calls of another architecture (AUDIT_ARCH 0x40000003)",
    )


def test_what_gives_rights_up_or_returns_from_a_signal_is_spared() -> None:
    spared = [
        Permission("setresuid"),
        Permission("prctl", 38),
        Permission("rt_sigreturn"),
        Permission("capset"),
    ]
    assert all(map(observed.spared, spared))
    assert not any(
        map(observed.spared, [Permission("read"), Permission("prctl", 15), Permission("exit_group")])
    )


def test_namespaces_need_nesting() -> None:
    needing = [Permission("unshare", 0x20000), Permission("clone", 0x10000000), Permission("setns", 0)]
    assert all(map(observed.nests, needing))
    assert not any(
        map(observed.nests, [Permission("clone", 0), Permission("unshare", 0), Permission("read")])
    )


@pytest.mark.parametrize("architecture", [X86_64, AARCH64], ids=lambda known: known.name)
def test_every_call_of_which_an_argument_is_noted_is_one(architecture: Architecture) -> None:
    assert len(observed.telling(architecture)) >= len(TELLING) - 1
    assert set(TELLING) <= set(X86_64.numbers)


PERMISSIONS = st.sets(
    st.one_of(
        st.sampled_from(sorted(set(NUMBERS) - set(TELLING))).map(Permission),
        st.builds(Permission, st.sampled_from(sorted(TELLING)), st.integers(0, 2**32 - 1)),
    ),
    max_size=60,
)


@given(PERMISSIONS)
def test_a_profile_of_any_permissions_compiles_and_holds_each(granted: set[Permission]) -> None:
    def masked(permission: Permission) -> Permission:
        if permission.value is None:
            return permission
        return Permission(permission.name, permission.value & TELLING[permission.name][1])

    wanted = {masked(permission) for permission in granted}
    profile = observed.profile("any", wanted, within=DEFAULT)
    assert compile_profile(profile, X86_64)
    for permission in wanted:
        index = TELLING[permission.name][0] if permission.value is not None else 0
        assert decide(profile, permission.name, **{f"a{index}": permission.value or 0}) in {
            ALLOW,
            *(
                ()
                if permission.value is not None
                else (rule.action for rule in DEFAULT.rules.get(permission.name, ()))
            ),
        }
    for name in set(NUMBERS) - {permission.name for permission in wanted}:
        assert decide(profile, name) != ALLOW
