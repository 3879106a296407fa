"""How profiles and programs are shown."""

from __future__ import annotations

import re

import pytest

from tests.unit.security.seccomp import bpf
from zonectl.security.seccomp import builtin, listing
from zonectl.security.seccomp.architectures import AARCH64, X86_64
from zonectl.security.seccomp.compiler import compile_profile
from zonectl.security.seccomp.profile import ALLOW, EPERM, Condition, Profile, Rule, of_names

DEFAULT = builtin.named("default", nesting=False)


def test_every_call_is_in_one_place() -> None:
    for architecture in (X86_64, AARCH64):
        answers = listing.answers(DEFAULT, architecture)
        listed = [name for names in answers.values() for name in names]
        listed += listing.by_arguments(DEFAULT, architecture)
        assert sorted(listed) == sorted(architecture.numbers)
        assert next(iter(answers)) == "allow"
    assert "bpf" in listing.answers(DEFAULT, X86_64)["EPERM"]
    assert "clone3" in listing.answers(DEFAULT, X86_64)["ENOSYS"]


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (Rule(ALLOW), "otherwise allow"),
        (Rule(EPERM, (Condition(1, 5, 5),)), "EPERM where argument 1 is 0x5"),
        (Rule(EPERM, (Condition(1, 5, 5, mask=0xFFFFFFFF),)), "EPERM where argument 1 (32 bits) is 0x5"),
        (Rule(ALLOW, (Condition(0, 0, 0, mask=6, negated=True),)), "allow where argument 0 & 0x6 is not 0x0"),
        (
            Rule(ALLOW, (Condition(0, 1, 2), Condition(3, 4, 4))),
            "allow where argument 0 is from 0x1 to 0x2 and argument 3 is 0x4",
        ),
    ],
)
def test_rules_in_words(rule: Rule, words: str) -> None:
    assert listing.rule_text(rule) == words


def test_a_program_in_words() -> None:
    masked = Rule(ALLOW, (Condition(1, 2, 2, mask=0xFF00000006),))
    profile = Profile(
        name="p", rules={"read": (masked,), "open": (Rule(ALLOW),)}, otherwise=EPERM, unknown=EPERM
    )
    text = "\n".join(listing.disassembled(compile_profile(profile, X86_64), X86_64))
    assert text.splitlines()[:3] == [
        "   0  ld [4]                          ; architecture",
        "   1  jeq 0xc000003e 2 19",
        "   2  ld [0]                          ; number",
    ]
    assert re.search(r"jge 0x2 \d+ \d+ +; open\n", text)
    assert re.search(r"ld \[28\] +; argument 1, upper half\n +\d+  and 0xff\n +\d+  jeq 0x0 ", text)
    assert re.search(r"ld \[24\] +; argument 1, lower half\n +\d+  and 0x6\n +\d+  jeq 0x2 \d+ \d+\n", text)
    assert re.search(r"ret 0x50001 +; EPERM", text)
    assert text.endswith("ret 0x80000000                  ; kill")


def test_every_jump_is_shown_to_where_it_goes() -> None:
    """Long ones too."""
    conditions = tuple(Condition(index, 1 << 33, 1 << 34) for index in range(6))
    names = ("read", "write", "close", "stat", "poll", "lseek", "ioctl", "access", "pipe", "select", "dup")
    rules = dict.fromkeys(names, (Rule(ALLOW, conditions),))
    profile = Profile(name="p", rules={**of_names("p", X86_64.numbers).rules, **rules})
    program = compile_profile(profile, X86_64)
    code, lines = bpf.decode(program), listing.disassembled(program, X86_64)
    assert bpf.JA in {step.code for step in code}
    for place, (step, line) in enumerate(zip(code, lines, strict=True)):
        shown = [int(word) for word in line.partition(";")[0].split()[2:] if word.isdecimal()]
        if step.code == bpf.JA:
            assert shown == [place + 1 + step.operand]
        elif step.code in bpf.JUMPS:
            assert shown == [place + 1 + step.true, place + 1 + step.false]


@pytest.mark.parametrize("value", [0x80000000, 0, 0x30000, 0x50001, 0x7FC00000, 0x7FFC0000, 0x7FFF0000])
def test_answers_of_filters_are_actions(value: int) -> None:
    assert listing.action_of(value).value == value
