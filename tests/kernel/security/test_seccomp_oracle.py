"""Our compiler beside libseccomp: both make a filter of the same rules, and both filters answer alike to everything.

libseccomp is asked through Debian's own python3-seccomp, in a process of Debian's own Python. Both programs run in the
interpreter of the unit tests: at every number at which either of them can change its mind, and with arguments at and
around every value that either of them compares with.
"""

from __future__ import annotations

import base64
import itertools
import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.unit.security.seccomp import bpf
from zonectl.config.profile_file import read_oci
from zonectl.security.seccomp import architectures, builtin
from zonectl.security.seccomp.architectures import AARCH64, X32_SYSCALL_BIT, X86_64, Architecture
from zonectl.security.seccomp.compiler import compile_profile
from zonectl.security.seccomp.files import Setting, of_oci
from zonectl.security.seccomp.profile import MOST, WORD, Action, Condition, Profile, Rule, Verdict, fails

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

pytestmark = pytest.mark.requires("debian_python:seccomp")

ORACLE = """
import base64, json, os, seccomp, sys
OPS = {name: getattr(seccomp, name) for name in ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ")}
def action(of):
    kind, number = of
    return seccomp.ERRNO(number) if kind == "ERRNO" else getattr(seccomp, kind)
for line in sys.stdin:
    asked = json.loads(line)
    made = seccomp.SyscallFilter(action(asked["otherwise"]))
    made.set_attr(seccomp.Attr.ACT_BADARCH, seccomp.KILL_PROCESS)
    made.set_attr(seccomp.Attr.CTL_OPTIMIZE, asked["optimize"])
    if asked["arch"] != os.uname().machine:
        made.add_arch(seccomp.Arch(asked["arch"]))
        made.remove_arch(seccomp.Arch())
    try:
        for does, call, arguments in asked["rules"]:
            made.add_rule(action(does), call, *(seccomp.Arg(i, OPS[op], *of) for i, op, of in arguments))
    except RuntimeError:
        print(flush=True)
        continue
    with os.fdopen(os.memfd_create("bpf"), "w+b") as file:
        made.export_bpf(file)
        file.seek(0)
        print(base64.b64encode(file.read()).decode(), flush=True)
"""

Comparison = tuple[int, str, tuple[int, ...]]
LibRule = tuple[Action, str, tuple[Comparison, ...]]


class Libseccomp:
    """A process that makes filters."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["/usr/bin/python3", "-I", "-c", ORACLE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def filter(
        self, rules: Iterable[LibRule], *, otherwise: Action, architecture: Architecture, optimize: int = 1
    ) -> list[bpf.Instruction]:
        """The filter of these rules; empty where libseccomp cannot merge them (EINVAL, some rules of one call).

        A rule that does what is done otherwise is left out: libseccomp refuses it.
        """
        asked = {
            "arch": architecture.name,
            "otherwise": _of(otherwise),
            "optimize": optimize,
            "rules": [(_of(does), call, given) for does, call, given in rules if does != otherwise],
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(asked), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        assert line, "it has died"
        return bpf.decode(base64.b64decode(line)) if line.strip() else []

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        assert self._process.wait(timeout=30) == 0


def _of(action: Action) -> tuple[str, int]:
    return ("KILL" if action.verdict is Verdict.KILL_THREAD else action.verdict.name), action.number


@pytest.fixture(scope="module")
def libseccomp() -> Iterator[Libseccomp]:
    process = Libseccomp()
    yield process
    process.close()


def telling(
    ours: list[bpf.Instruction], theirs: list[bpf.Instruction], architecture: Architecture
) -> list[int]:
    """Numbers of calls that stand for all: all small ones, and each at which one of the programs changes its mind."""
    numbers = {*range(600), *bpf.turning_points(ours, theirs)}
    # libseccomp kills x32, where we answer ENOSYS: tests/unit/security has that.
    return sorted(each for each in numbers if architecture is AARCH64 or each < X32_SYSCALL_BIT)


# --------------------------------------------------------------------------------------------- the named profiles


@pytest.mark.parametrize("optimize", [1, 2])
@pytest.mark.parametrize("nesting", [False, True])
@pytest.mark.parametrize("name", builtin.NAMES)
@pytest.mark.parametrize("architecture", [X86_64, AARCH64], ids=["x86_64", "aarch64"])
def test_every_number(
    libseccomp: Libseccomp, architecture: Architecture, name: str, *, nesting: bool, optimize: int
) -> None:
    """Calls whose answer does not depend on arguments; libseccomp has one answer for all others, so ours has too."""
    profile = builtin.named(name, nesting=nesting)
    constant = {call: rules for call, rules in profile.rules.items() if not rules[0].conditions}
    ours = Profile(name=name, rules=constant, otherwise=profile.otherwise, unknown=profile.otherwise)
    known = {call for call in constant if call in architecture.numbers and call not in NEWER}
    theirs = libseccomp.filter(
        [(constant[call][0].action, call, ()) for call in sorted(known)],
        otherwise=profile.otherwise,
        architecture=architecture,
        optimize=optimize,
    )
    code = bpf.decode(compile_profile(ours, architecture))
    checked = 0
    for number in telling(code, theirs, architecture):
        if architecture.names.get(number) not in NEWER:
            mine, his = (bpf.run(each, number=number, arch=architecture.audit)[0] for each in (code, theirs))
            assert mine == his, (number, architecture.names.get(number))
            checked += 1
    assert checked > 500
    for arch in (0, 0x40000003, 0x40000028, 0xC0000015):
        assert bpf.run(code, number=0, arch=arch)[0] == bpf.run(theirs, number=0, arch=arch)[0]


NEWER = frozenset(
    {
        *(
            "cachestat",
            "fchmodat2",
            "map_shadow_stack",
            "futex_wake",
            "futex_wait",
            "futex_requeue",
            "statmount",
        ),
        *("listmount", "lsm_get_self_attr", "lsm_set_self_attr", "lsm_list_modules", "mseal", "setxattrat"),
        *("getxattrat", "listxattrat", "removexattrat", "open_tree_attr", "file_getattr", "file_setattr"),
        *("uprobe", "uretprobe"),
    }
)
"""Calls that Debian 12's libseccomp (2.5.4) has not heard of."""


@pytest.mark.parametrize("name", ["socket", "socketpair", "personality", "ioctl", "clone", "unshare"])
@pytest.mark.parametrize("profile", builtin.NAMES)
@pytest.mark.parametrize("architecture", [X86_64, AARCH64], ids=["x86_64", "aarch64"])
def test_every_call_that_depends_on_arguments(
    libseccomp: Libseccomp, architecture: Architecture, profile: str, name: str
) -> None:
    whole = builtin.named(profile, nesting=False)
    rules = whole.rules[name]
    otherwise = rules[-1].action if not rules[-1].conditions else whole.otherwise
    theirs = libseccomp.filter(
        [(does, name, given) for does, given in _disjoint(rules)],
        otherwise=otherwise,
        architecture=architecture,
    )
    code = bpf.decode(compile_profile(whole, architecture))
    number = architecture.numbers[name]
    values = sorted(
        {value for value in _values(code, theirs) if value < 1 << 16 or not value & value - 1} | EDGES
    )
    for first, third in itertools.product(values, values if name == "socket" else [0]):
        for arguments in (
            (first, first, third, 0, 0, 0),
            (first | 5 << 32, first | 5 << 32, third | 1 << 63, 0, 0, 0),
        ):
            mine, his = (
                bpf.run(each, number=number, arch=architecture.audit, arguments=arguments)[0]
                for each in (code, theirs)
            )
            assert mine == his, arguments


EDGES = {0, 1, WORD, WORD - 1, 1 << 32, MOST, 0x7E020000, 0x3D0F00}


def _disjoint(rules: tuple[Rule, ...]) -> Iterator[tuple[Action, tuple[Comparison, ...]]]:
    """Rules as libseccomp can be told of them: each a conjunction with one comparison for an argument, in any order."""
    earlier: list[Rule] = []
    for rule in rules:
        if not rule.conditions:
            return
        terms = [list(_alternatives(condition)) for condition in rule.conditions]
        terms += [_none_holds(before) for before in earlier if before.action != rule.action]
        for term in itertools.product(*terms):
            if (merged := _merged(term)) is not None:
                yield rule.action, merged
        earlier.append(rule)


def _alternatives(condition: Condition) -> Iterator[Comparison]:
    if condition.negated:
        yield from _others(Condition(condition.index, condition.least, condition.most, mask=condition.mask))
        return
    for value in range(condition.least, condition.most + 1):
        yield condition.index, "MASKED_EQ", (condition.mask, value)


def _none_holds(rule: Rule) -> list[Comparison]:
    return [other for condition in rule.conditions for other in _others(condition)]


def _others(condition: Condition) -> Iterator[Comparison]:
    """What it means that a masked argument is not one value: that one of its bits is another."""
    assert condition.least == condition.most
    for bit in (1 << n for n in range(64) if condition.mask >> n & 1):
        yield condition.index, "MASKED_EQ", (bit, ~condition.least & bit)


def _merged(term: tuple[Comparison, ...]) -> tuple[Comparison, ...] | None:
    """One comparison for an argument; None for what can never hold."""
    found: dict[int, tuple[int, int]] = {}
    for index, _op, (mask, value) in term:
        before_mask, before = found.get(index, (0, 0))
        if (before ^ value) & before_mask & mask:
            return None
        found[index] = (before_mask | mask, before | value)
    return tuple((index, "MASKED_EQ", pair) for index, pair in sorted(found.items()))


# --------------------------------------------------------------------------------------------- any profile of OCI


OPERATORS = ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ")
words = st.integers(0, WORD) | st.sampled_from([0, 1, 2, 0x5412, 1 << 31, WORD])
doubles = (
    words | st.builds(lambda high, low: high << 32 | low, words, words) | st.sampled_from([MOST, 1 << 32])
)
actions = st.sampled_from(["ALLOW", "LOG", "TRAP", "KILL_PROCESS", "KILL_THREAD"]).map(
    lambda word: Action(Verdict[word])
) | st.integers(0, 4094).map(fails)  # libseccomp takes no 4095 (MAX_ERRNO), the kernel does
calls = st.sampled_from(sorted({*X86_64.numbers, *AARCH64.numbers} - NEWER - {"fstatat64"}))


@st.composite
def arguments(draw: st.DrawFn) -> tuple[Comparison, ...]:
    indices = draw(st.lists(st.integers(0, 5), max_size=3, unique=True))
    found: list[Comparison] = []
    for index in indices:
        operator = draw(st.sampled_from(OPERATORS))
        value = draw(doubles)
        found.append(
            (index, operator, (value, draw(doubles) & value) if operator == "MASKED_EQ" else (value,))
        )
    return tuple(found)


# All rules of one call do the same: which of two that do not wins is left open by libseccomp, and settled by us.
oci_rules = st.dictionaries(
    calls, st.tuples(actions, st.lists(arguments(), min_size=1, max_size=3)), min_size=1, max_size=12
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rules=oci_rules, otherwise=actions, data=st.data())
def test_any_rules(
    libseccomp: Libseccomp,
    rules: dict[str, tuple[Action, list[tuple[Comparison, ...]]]],
    otherwise: Action,
    data: st.DataObject,
) -> None:
    architecture = data.draw(st.sampled_from([X86_64, AARCH64]))
    there = {call: rule for call, rule in rules.items() if call in architecture.numbers}
    assume(there)
    ours = _through_oci(there, otherwise, architecture)
    theirs = libseccomp.filter(
        [(does, call, given) for call, (does, listed) in there.items() for given in listed],
        otherwise=otherwise,
        architecture=architecture,
        optimize=data.draw(st.sampled_from([1, 2])),
    )
    assume(theirs)
    values = st.sampled_from(sorted(_values(ours, theirs)))
    named = [architecture.numbers[call] for call in there]
    # Above all that a file names, and for numbers of no call, we answer ENOSYS by a rule of our own.
    numbers = [number for number in architecture.names if number <= max(named)]
    for number in [*named, *named, *data.draw(st.lists(st.sampled_from(numbers), max_size=20))]:
        six = data.draw(st.tuples(*[values] * 6))
        mine, his = (
            bpf.run(each, number=number, arch=architecture.audit, arguments=six)[0] for each in (ours, theirs)
        )
        assert mine == his, (architecture.names.get(number), number, six)


def _through_oci(
    rules: dict[str, tuple[Action, list[tuple[Comparison, ...]]]],
    otherwise: Action,
    architecture: Architecture,
) -> list[bpf.Instruction]:
    document = {
        **_oci_action(otherwise, "defaultAction", "defaultErrnoRet"),
        "syscalls": [
            {
                "names": [call],
                **_oci_action(does, "action", "errnoRet"),
                "args": [_oci_argument(one) for one in given],
            }
            for call, (does, listed) in rules.items()
            for given in listed
        ],
    }
    known = architectures.every_name()
    file = read_oci(json.dumps(document), file="p.json", known=known, architecture="SCMP_ARCH_X86_64")
    setting = Setting(capabilities=0, architecture=architecture, kernel=(6, 1))
    return bpf.decode(compile_profile(of_oci(file, "p", setting=setting, known=known), architecture))


def _oci_action(action: Action, key: str, errno_key: str) -> dict[str, Any]:
    word = {key: f"SCMP_ACT_{action.verdict.name}"}
    return word | {errno_key: action.number} if action.verdict is Verdict.ERRNO else word


def _oci_argument(comparison: Comparison) -> dict[str, Any]:
    index, operator, of = comparison
    second = {"valueTwo": of[1]} if len(of) > 1 else {}
    return {"index": index, "op": f"SCMP_CMP_{operator}", "value": of[0], **second}


def _values(*programs: list[bpf.Instruction]) -> set[int]:
    """Arguments whose halves are values that a program compares with, their neighbours, or masks."""
    points = [point for point in bpf.turning_points(*programs) if point > 1 << 12] + [0, 1, 2, 5]
    masks = {step.operand for code in programs for step in code if step.code == bpf.AND_K}
    halves = {*points, *masks, *(~mask & WORD for mask in masks)}
    chosen = sorted(halves)[:80]
    return {
        high << 32 | low for high, low in itertools.product(chosen[:: max(1, len(chosen) // 12)], chosen)
    } | halves
