"""Profiles and programs as people read them. Pure."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from zonectl.security.seccomp import assembler
from zonectl.security.seccomp.assembler import (
    BPF_JMP_JA,
    BPF_JMP_JEQ_K,
    BPF_JMP_JGE_K,
    BPF_JMP_JGT_K,
    BPF_JMP_JSET_K,
    BPF_LD_W_ABS,
    BPF_RET_K,
    INSTRUCTION,
)
from zonectl.security.seccomp.compiler import ARCH_OFFSET, ARGUMENTS_OFFSET, NUMBER_OFFSET
from zonectl.security.seccomp.profile import ALLOW, MOST, WORD, Action, Verdict

if TYPE_CHECKING:
    from zonectl.security.seccomp.architectures import Architecture
    from zonectl.security.seccomp.profile import Condition, Profile, Rule

_JUMPS: Final = {
    BPF_JMP_JEQ_K: "jeq",
    BPF_JMP_JGE_K: "jge",
    BPF_JMP_JGT_K: "jgt",
    BPF_JMP_JSET_K: "jset",
}


def answers(profile: Profile, architecture: Architecture) -> dict[str, list[str]]:
    """The calls of `architecture` by what is always answered to them, as words: "allow", "EPERM"; allow comes first."""
    found: dict[str, list[str]] = {ALLOW.word: []}
    for name in sorted(architecture.numbers):
        rules = profile.rules.get(name, ())
        if not rules or not rules[0].conditions:
            action = rules[0].action if rules else profile.otherwise
            found.setdefault(action.word, []).append(name)
    return found


def by_arguments(profile: Profile, architecture: Architecture) -> dict[str, list[str]]:
    """The calls whose answer depends on arguments: each with its rules in order, in words."""
    return {
        name: [*map(rule_text, rules), *([] if _decides(rules) else [f"otherwise {profile.otherwise.word}"])]
        for name, rules in sorted(profile.rules.items())
        if name in architecture.numbers and rules and rules[0].conditions
    }


def _decides(rules: tuple[Rule, ...]) -> bool:
    return any(not rule.conditions for rule in rules)


def rule_text(rule: Rule) -> str:
    """A rule in words: "EPERM where argument 1 (32 bits) is 0x5412"."""
    if not rule.conditions:
        return f"otherwise {rule.action.word}"
    return f"{rule.action.word} where {' and '.join(map(condition_text, rule.conditions))}"


def condition_text(condition: Condition) -> str:
    """A condition in words."""
    what = f"argument {condition.index}"
    if condition.mask == WORD:
        what += " (32 bits)"
    elif condition.mask != MOST:
        what += f" & {condition.mask:#x}"
    is_or_not = "is not" if condition.negated else "is"
    if condition.least == condition.most:
        return f"{what} {is_or_not} {condition.least:#x}"
    return f"{what} {is_or_not} from {condition.least:#x} to {condition.most:#x}"


def disassembled(program: bytes, architecture: Architecture) -> list[str]:
    """A program, an instruction a line: its number, what it does, and what the numbers in it mean."""
    # Where the accumulator holds the call's number. Jumps go forward, so that one pass finds out.
    at_number: set[int] = set()
    lines = []
    for place, (code, true, false, operand) in enumerate(INSTRUCTION.iter_unpack(program)):
        targets = _targets(code, operand, (place, true, false))
        text, note = _instruction(code, operand, targets)
        holds = operand == NUMBER_OFFSET if code == BPF_LD_W_ABS else place in at_number
        if holds:
            at_number.update(targets)
            note = architecture.names.get(operand, "") if code in _JUMPS else note
        lines.append(f"{place:4}  {text:<32}{f'; {note}' if note else ''}".rstrip())
    return lines


def _targets(code: int, operand: int, jump: tuple[int, int, int]) -> tuple[int, ...]:
    """Where the program may go on after an instruction."""
    place, true, false = jump
    if code == BPF_RET_K:
        return ()
    if code == BPF_JMP_JA:
        return (place + 1 + operand,)
    return (place + 1 + true, place + 1 + false) if code in _JUMPS else (place + 1,)


def _instruction(code: int, operand: int, targets: tuple[int, ...]) -> tuple[str, str]:
    match code:
        case _ if code in _JUMPS:
            return f"{_JUMPS[code]} {operand:#x} {' '.join(map(str, targets))}", ""
        case assembler.BPF_LD_W_ABS:
            return f"ld [{operand}]", _member(operand)
        case assembler.BPF_ALU_AND_K:
            return f"and {operand:#x}", ""
        case assembler.BPF_RET_K:
            return f"ret {operand:#x}", action_of(operand).word
        case assembler.BPF_JMP_JA:
            return f"ja {targets[0]}", ""
    return f"unknown {code:#x}", ""


def action_of(value: int) -> Action:
    """The action that a filter's answer means (SECCOMP_RET_ACTION_FULL, SECCOMP_RET_DATA)."""
    verdict = Verdict(value & 0xFFFF0000)
    return Action(verdict, value & 0xFFFF if verdict is Verdict.ERRNO else 0)


def _member(offset: int) -> str:
    """The member of `struct seccomp_data` at an offset."""
    if offset == NUMBER_OFFSET:
        return "number"
    if offset == ARCH_OFFSET:
        return "architecture"
    index, half = divmod(offset - ARGUMENTS_OFFSET, struct.calcsize("=Q"))
    return f"argument {index}, {'upper' if half else 'lower'} half"
