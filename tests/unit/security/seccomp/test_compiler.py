"""What compiled programs answer, to every call of every architecture, run in an interpreter of our own."""

from __future__ import annotations

import errno
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.security.seccomp import bpf
from zonectl.security.seccomp import builtin, compiler
from zonectl.security.seccomp.architectures import (
    AARCH64,
    ARCHITECTURES,
    AUDIT_ARCH_AARCH64,
    AUDIT_ARCH_X86_64,
    X32_SYSCALL_BIT,
    X86_64,
    Architecture,
)
from zonectl.security.seccomp.profile import (
    ALLOW,
    ENOSYS,
    EPERM,
    KILL,
    MOST,
    WORD,
    Action,
    Condition,
    Profile,
    Rule,
    Verdict,
    fails,
    of_names,
)

AUDIT_ARCH_I386 = 0x40000003
AUDIT_ARCH_ARM = 0x40000028
EVERY_PROFILE = [builtin.named(name, nesting=nesting) for name in builtin.NAMES for nesting in (False, True)]
VALUES = sorted(
    {
        *(0, 1, 2, 8, 9, 10, 11, 16, 17, 18, 38, 40, 0x5411, 0x5412, 0x5413, 0x541B, 0x541C, 0x541D),
        *(0x80, 0x20000, 0x20008, 0x40000, 0x40008, 0x10000000, 0x7E020000, 0x3D0F00, 0x40000000),
        *(WORD, WORD - 1, WORD + 1, MOST, 1 << 63),
    }
)
UPPER = [value | high << 32 for value in VALUES if value <= WORD for high in (1, WORD)]


def compiled(profile: Profile, architecture: Architecture) -> list[bpf.Instruction]:
    code = bpf.decode(compiler.compile_profile(profile, architecture))
    bpf.check(code)
    return code


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=lambda known: known.name)
@pytest.mark.parametrize("profile", EVERY_PROFILE, ids=lambda profile: profile.name)
def test_every_call_is_answered_as_the_profile_says(profile: Profile, architecture: Architecture) -> None:
    code = compiled(profile, architecture)
    for number in {*range(600), *bpf.turning_points(code)}:
        name = architecture.names.get(number, "")
        indices = {condition.index for rule in profile.rules.get(name, ()) for condition in rule.conditions}
        for arguments in _arguments(indices):
            answer, _ = bpf.run(code, number=number, arch=architecture.audit, arguments=arguments)
            foreign = architecture is X86_64 and number >= X32_SYSCALL_BIT
            expected = ENOSYS if foreign else profile.decide(architecture, number, arguments)
            assert answer == expected.value, (number, name, arguments)


def _arguments(indices: set[int]) -> list[tuple[int, ...]]:
    """Six arguments with chosen values in the places `indices`, something unlikely in the others."""
    found: list[tuple[int, ...]] = [(0xDEADBEEF12345678,) * 6]
    for index in sorted(indices):
        found = [(*row[:index], value, *row[index + 1 :]) for row in found for value in (*VALUES, *UPPER)]
    return found


@pytest.mark.parametrize("profile", EVERY_PROFILE, ids=lambda profile: profile.name)
@pytest.mark.parametrize(
    ("architecture", "foreign"),
    [
        (X86_64, AUDIT_ARCH_I386),
        (X86_64, AUDIT_ARCH_AARCH64),
        (AARCH64, AUDIT_ARCH_ARM),
        (AARCH64, AUDIT_ARCH_X86_64),
        (X86_64, 0),
    ],
)
def test_another_architecture_is_killed(profile: Profile, architecture: Architecture, foreign: int) -> None:
    code = compiled(profile, architecture)
    for number in (0, 1, 59, 11, 221, WORD):
        assert bpf.run(code, number=number, arch=foreign)[0] == KILL.value


@pytest.mark.parametrize("otherwise", [ALLOW, EPERM, Action(Verdict.LOG)])
def test_x32_does_not_exist_whatever_the_profile_allows(otherwise: Action) -> None:
    everything = Profile(name="open", rules={}, otherwise=otherwise, unknown=ALLOW)
    code = compiled(everything, X86_64)
    for number in (0, 1, 59, 322, 512, 520, 547):
        answer, _ = bpf.run(code, number=number | X32_SYSCALL_BIT, arch=AUDIT_ARCH_X86_64)
        assert answer == ENOSYS.value
    assert bpf.run(code, number=X32_SYSCALL_BIT - 1, arch=AUDIT_ARCH_X86_64)[0] == ALLOW.value


def test_calls_newer_than_the_profile_are_unknown_and_refused_ones_are_not() -> None:
    for architecture in ARCHITECTURES.values():
        newest = max(architecture.numbers.values())
        code = compiled(builtin.named("default", nesting=False), architecture)
        answers = {
            number: bpf.run(code, number=number, arch=architecture.audit)[0]
            for number in (newest + 1, newest + 1000, X32_SYSCALL_BIT - 1, architecture.numbers["bpf"])
        }
        assert answers == {
            newest + 1: ENOSYS.value,
            newest + 1000: ENOSYS.value,
            X32_SYSCALL_BIT - 1: ENOSYS.value,
            architecture.numbers["bpf"]: EPERM.value,
        }


@pytest.mark.parametrize("profile", EVERY_PROFILE, ids=lambda profile: profile.name)
def test_the_tree_is_balanced(profile: Profile) -> None:
    """No call takes more comparisons than a binary search does; none that is always allowed looks at arguments."""
    for architecture in ARCHITECTURES.values():
        code = compiled(profile, architecture)
        depth = math.ceil(math.log2(len(compiler.ranges(profile, architecture))))
        for name in ("read", "write", "futex", "epoll_pwait", "getpid", "mmap", "openat", "close", "fstat"):
            number = architecture.numbers[name]
            answer, taken = bpf.run(code, number=number, arch=architecture.audit)
            assert answer == ALLOW.value
            # Two loads, the architecture, the return.
            assert taken <= depth + 4, name


def test_neighbours_share_a_range() -> None:
    profile = of_names("three", ["read", "write", "open", "stat"])
    assert compiler.ranges(profile, X86_64)[:4] == [(0, ALLOW), (3, EPERM), (4, ALLOW), (5, EPERM)]


def test_rules_that_cannot_matter_are_left_out() -> None:
    yes = Rule(ALLOW, (Condition(0, 1, 1),))
    no = Rule(EPERM, (Condition(0, 2, 2),))
    redundant = Profile(name="r", rules={"read": (no,), "write": (Rule(ALLOW), no), "open": (yes, no)})
    ranges = dict(compiler.ranges(redundant, X86_64))
    assert ranges[0] == EPERM
    assert ranges[1] == ALLOW
    assert ranges[2] == compiler.Checks((yes,), EPERM)


words = st.integers(0, WORD) | st.sampled_from([0, 1, 0x80000000, WORD])
doubles = (
    st.builds(lambda high, low: high << 32 | low, words, words) | words | st.sampled_from([MOST, 1 << 63])
)
actions = st.sampled_from([ALLOW, EPERM, ENOSYS, KILL, Action(Verdict.LOG), Action(Verdict.TRAP)]) | (
    st.integers(0, 4095).map(fails)
)


ends = st.tuples(doubles, doubles).map(sorted) | doubles.map(lambda only: [only, only])
conditions = st.builds(
    lambda index, ends, mask, negated: Condition(index, ends[0], ends[1], mask=mask, negated=negated),
    st.integers(0, 5),
    ends,
    st.sampled_from([MOST, WORD, WORD << 32, 0]) | doubles,
    st.booleans(),
)
rules = st.lists(st.builds(Rule, actions, st.lists(conditions, max_size=4).map(tuple)), max_size=5).map(tuple)
every_name = st.sampled_from(sorted({*X86_64.numbers, *AARCH64.numbers}))
decisions = st.dictionaries(every_name, rules, max_size=60)


@st.composite
def profiles(draw: st.DrawFn) -> Profile:
    return Profile(name="random", rules=draw(decisions), otherwise=draw(actions), unknown=draw(actions))


@given(profile=profiles(), data=st.data())
def test_any_profile_means_what_it_says(profile: Profile, data: st.DataObject) -> None:
    architecture = data.draw(st.sampled_from([X86_64, AARCH64]))
    code = compiled(profile, architecture)
    bounds = [
        bound & WORD
        for rules in profile.rules.values()
        for rule in rules
        for condition in rule.conditions
        for edge in (condition.least, condition.most, condition.mask)
        for bound in (edge, edge >> 32, edge + 1, edge - 1)
    ]
    values = st.builds(lambda high, low: high << 32 | low, *[st.sampled_from([0, WORD, *bounds])] * 2)
    six = st.tuples(*[values] * 6)
    for number in data.draw(st.lists(st.sampled_from(bpf.turning_points(code)), min_size=1, max_size=40)):
        if architecture is X86_64 and number >= X32_SYSCALL_BIT:
            continue
        arguments = data.draw(six)
        expected = profile.decide(architecture, number, arguments).value
        assert bpf.run(code, number=number, arch=architecture.audit, arguments=arguments)[0] == expected


def test_an_upper_half_does_not_help_where_the_kernel_does_not_see_it() -> None:
    """CVE-2019-10063: TIOCSTI with bits above the 32nd set is TIOCSTI to the kernel."""
    for profile in EVERY_PROFILE:
        code = compiled(profile, X86_64)
        for command in (builtin.TIOCSTI, builtin.TIOCLINUX):
            for high in (0, 1, 0x80000000, WORD):
                arguments = (0, command | high << 32, 0, 0, 0, 0)
                answer = bpf.run(code, number=16, arch=AUDIT_ARCH_X86_64, arguments=arguments)[0]
                assert answer == EPERM.value
        tcgets = (WORD, 0x5401, 0, 0, 0, 0)
        assert bpf.run(code, number=16, arch=AUDIT_ARCH_X86_64, arguments=tcgets)[0] == ALLOW.value


def test_strict_is_narrower() -> None:
    default, strict = (builtin.named(name, nesting=False) for name in builtin.NAMES)
    assert strict.no_new_privs
    assert not default.no_new_privs
    for architecture in ARCHITECTURES.values():
        codes = [compiled(profile, architecture) for profile in (default, strict)]
        narrower = set()
        for number, name in architecture.names.items():
            indices = {
                c.index for p in (default, strict) for r in p.rules.get(name, ()) for c in r.conditions
            }
            for arguments in _arguments(indices):
                wide, narrow = (
                    bpf.run(code, number=number, arch=architecture.audit, arguments=arguments)[0]
                    for code in codes
                )
                assert wide == ALLOW.value or narrow != ALLOW.value
                if wide == ALLOW.value and narrow != ALLOW.value:
                    narrower.add(name)
        assert {"mount", "ptrace", "chroot", "reboot", "socket", "personality", "umount2"} <= narrower
        assert len(narrower) > 30


def test_errnos_of_the_refused() -> None:
    code = compiled(builtin.named("default", nesting=False), X86_64)

    def answer(name: str, *arguments: int) -> Action | None:
        six = (*arguments, *(0,) * (6 - len(arguments)))
        value = bpf.run(code, number=X86_64.numbers[name], arch=AUDIT_ARCH_X86_64, arguments=six)[0]
        return next((known for known in (ALLOW, EPERM, ENOSYS) if known.value == value), fails(value & 0xFFF))

    assert answer("clone3") == ENOSYS
    assert answer("keyctl", 1) == ENOSYS
    assert answer("io_uring_setup") == EPERM
    assert answer("io_setup", 1) == ALLOW
    assert answer("setns", 5, 0) == EPERM
    assert answer("unshare", 0x80) == EPERM
    assert answer("unshare", 0x200) == ALLOW
    assert answer("clone", 0x3D0F00) == ALLOW
    assert answer("clone", 0x20011) == EPERM
    assert answer("socket", 38) == fails(errno.EAFNOSUPPORT)
    assert answer("socket", 40) == fails(errno.EAFNOSUPPORT)
    assert answer("socket", 16, 3, 9) == fails(errno.EINVAL)
    assert answer("socket", 16, 3, 0) == ALLOW
    assert answer("personality", WORD) == ALLOW
    assert answer("personality", 0x400000) == EPERM
