"""From a profile to the program that the kernel runs at each system call.

The architecture is checked first: the same number is another call on another one. A process of the foreign architecture
(int 0x80 on x86_64) is killed, as nothing that its numbers mean is known here. x32 shares x86_64's architecture: its
numbers answer ENOSYS, as a kernel without x32 does. Then a balanced tree over ranges of numbers with the same answer:
some seven comparisons for any call. A call whose answer does not depend on its arguments costs none of them: since
Linux 5.11 the kernel keeps a bitmap of those that are always allowed (kernel/seccomp.c, seccomp_cache_prepare).
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from zonectl.security.seccomp.architectures import AUDIT_ARCH_X86_64, X32_SYSCALL_BIT
from zonectl.security.seccomp.assembler import (
    BPF_JMP_JEQ_K,
    BPF_JMP_JGE_K,
    BPF_JMP_JGT_K,
    And,
    Jump,
    Label,
    Load,
    Mark,
    Return,
    Statement,
    assemble,
)
from zonectl.security.seccomp.profile import ENOSYS, KILL, MOST, WORD, Action, Condition, Profile, Rule

if TYPE_CHECKING:
    from zonectl.security.seccomp.architectures import Architecture

VERSION: Final = 1
"""Part of the key of what is cached: to be raised when the same profile compiles to another program."""

NUMBER_OFFSET: Final = 0
ARCH_OFFSET: Final = 4
ARGUMENTS_OFFSET: Final = 16
"""Of the members of `struct seccomp_data` (linux/seccomp.h). Both architectures are little-endian."""


class Checks(NamedTuple):
    """Rules with conditions, in order, and what is answered where none holds."""

    rules: tuple[Rule, ...]
    otherwise: Action


Answer: TypeAlias = Action | Checks


class Range(NamedTuple):
    """Numbers from `first` up to the next range, all with the same answer."""

    first: int
    answer: Answer


def compile_profile(profile: Profile, architecture: Architecture) -> bytes:
    """The program, an array of `struct sock_filter`.

    Raises:
        TooLong: it has more instructions than the kernel takes.

    """
    return assemble(_Writer().program(ranges(profile, architecture), architecture))


def ranges(profile: Profile, architecture: Architecture) -> list[Range]:
    """All numbers of 32 bits in order, neighbours with the same answer in one range."""
    answers = {number: _answer(profile, name) for number, name in architecture.names.items()}
    if architecture.audit == AUDIT_ARCH_X86_64:
        answers[X32_SYSCALL_BIT] = ENOSYS
    found = [Range(0, answers.get(0, profile.unknown))]
    for number in sorted(answers):
        _append(found, number, answers[number])
        if number + 1 not in answers and number != X32_SYSCALL_BIT:
            _append(found, number + 1, profile.unknown)
    return found


def _append(found: list[Range], first: int, answer: Answer) -> None:
    if found[-1].answer != answer:
        found.append(Range(first, answer))


def _answer(profile: Profile, name: str) -> Answer:
    """The answer to a call, without rules that can never matter."""
    kept: list[Rule] = []
    otherwise = profile.otherwise
    for rule in profile.rules.get(name, ()):
        if not rule.conditions:
            otherwise = rule.action
            break
        kept.append(rule)
    while kept and kept[-1].action == otherwise:
        kept.pop()
    return Checks(tuple(kept), otherwise) if kept else otherwise


class _Writer:
    """Writes the statements of one program."""

    def __init__(self) -> None:
        self._labels = count()
        self._written: list[Statement] = []

    def program(self, ranges: list[Range], architecture: Architecture) -> list[Statement]:
        foreign = next(self._labels)
        self._written += [Load(ARCH_OFFSET), Jump(BPF_JMP_JEQ_K, architecture.audit, false=foreign)]
        self._written.append(Load(NUMBER_OFFSET))
        self._tree(ranges)
        self._written += [Mark(foreign), Return(KILL.value)]
        return self._written

    def _tree(self, ranges: list[Range]) -> None:
        if len(ranges) == 1:
            self._leaf(ranges[0].answer)
            return
        middle, right = len(ranges) // 2, next(self._labels)
        self._written.append(Jump(BPF_JMP_JGE_K, ranges[middle].first, true=right))
        self._tree(ranges[:middle])
        self._written.append(Mark(right))
        self._tree(ranges[middle:])

    def _leaf(self, answer: Answer) -> None:
        if isinstance(answer, Action):
            self._written.append(Return(answer.value))
            return
        for rule in answer.rules:
            beside = next(self._labels)
            for condition in rule.conditions:
                self._condition(condition, beside)
            self._written += [Return(rule.action.value), Mark(beside)]
        self._written.append(Return(answer.otherwise.value))

    def _condition(self, condition: Condition, beside: Label) -> None:
        """Go on with the next statement if the condition holds, else at `beside`."""
        holds = next(self._labels)
        yes, no = (beside, holds) if condition.negated else (holds, beside)
        if condition.least == condition.most:
            self._equal(condition, no)
        else:
            self._between(condition, no)
        if condition.negated:
            self._written.append(Jump(BPF_JMP_JGE_K, 0, true=yes))
        self._written.append(Mark(holds))

    def _equal(self, condition: Condition, no: Label) -> None:
        for half in self._halves(condition):
            self._load(condition, half)
            self._written.append(Jump(BPF_JMP_JEQ_K, _half(condition.least, half), false=no))

    def _between(self, condition: Condition, no: Label) -> None:
        if condition.least > 0:
            self._at_least(condition, no)
        if condition.most < MOST:
            self._at_most(condition, no)

    def _at_least(self, condition: Condition, no: Label) -> None:
        enough = next(self._labels)
        if 1 in self._halves(condition):
            self._load(condition, 1)
            high = _half(condition.least, 1)
            self._written.append(Jump(BPF_JMP_JGT_K, high, true=enough))
            self._written.append(Jump(BPF_JMP_JEQ_K, high, false=no))
        self._load(condition, 0)
        self._written.append(Jump(BPF_JMP_JGE_K, _half(condition.least, 0), false=no))
        self._written.append(Mark(enough))

    def _at_most(self, condition: Condition, no: Label) -> None:
        little = next(self._labels)
        if 1 in self._halves(condition):
            self._load(condition, 1)
            high = _half(condition.most, 1)
            self._written.append(Jump(BPF_JMP_JGT_K, high, true=no))
            self._written.append(Jump(BPF_JMP_JEQ_K, high, false=little))
        self._load(condition, 0)
        self._written.append(Jump(BPF_JMP_JGT_K, _half(condition.most, 0), true=no))
        self._written.append(Mark(little))

    @staticmethod
    def _halves(condition: Condition) -> tuple[int, ...]:
        """The halves that matter: the upper one is left alone where neither mask nor bounds reach it."""
        lower_alone = condition.mask <= WORD and condition.least <= WORD and condition.most <= WORD
        return (0,) if lower_alone else (1, 0)

    def _load(self, condition: Condition, half: int) -> None:
        self._written.append(Load(ARGUMENTS_OFFSET + 8 * condition.index + 4 * half))
        mask = _half(condition.mask, half)
        if mask != WORD:
            self._written.append(And(mask))


def _half(value: int, half: int) -> int:
    """The lower (0) or upper (1) half of 64 bits."""
    return value >> 32 * half & WORD
