"""What a filter lets processes do, as data: rules for each system call, and an answer for the others."""

from __future__ import annotations

import errno
import hashlib
import os
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from zonectl.security.seccomp.architectures import Architecture

WORD: Final = 0xFFFFFFFF
MOST: Final = 0xFFFFFFFF_FFFFFFFF
ARGUMENTS: Final = 6
MOST_ERRNO: Final = 4095
"""MAX_ERRNO: the kernel cuts what a filter answers to it (kernel/seccomp.c)."""


class Verdict(Enum):
    """What the kernel does with a call, by the SECCOMP_RET_* it answers to (linux/seccomp.h)."""

    KILL_PROCESS = 0x80000000
    KILL_THREAD = 0x00000000
    TRAP = 0x00030000
    ERRNO = 0x00050000
    USER_NOTIF = 0x7FC00000
    LOG = 0x7FFC0000
    ALLOW = 0x7FFF0000


@dataclass(frozen=True, slots=True)
class Action:
    """A verdict; ERRNO fails the call with `number`."""

    verdict: Verdict
    number: int = 0

    @property
    def value(self) -> int:
        """What the filter returns."""
        return self.verdict.value | self.number

    @property
    def word(self) -> str:
        """As a listing and a file of ours say it: "allow", "kill", "EPERM", "errno 999"."""
        if self.verdict is Verdict.ERRNO:
            return errno.errorcode.get(self.number, f"errno {self.number}")
        return _WORDS[self.verdict]


_WORDS: Final = {
    Verdict.KILL_PROCESS: "kill",
    Verdict.KILL_THREAD: "kill_thread",
    Verdict.TRAP: "trap",
    Verdict.USER_NOTIF: "notify",
    Verdict.LOG: "log",
    Verdict.ALLOW: "allow",
}

ALLOW: Final = Action(Verdict.ALLOW)
KILL: Final = Action(Verdict.KILL_PROCESS)


def fails(number: int) -> Action:
    """The action that fails a call with errno `number`."""
    return Action(Verdict.ERRNO, number)


EPERM: Final = fails(errno.EPERM)
ENOSYS: Final = fails(errno.ENOSYS)


@dataclass(frozen=True, slots=True)
class Condition:
    """`least` ≤ (argument number `index` & `mask`) ≤ `most`, or not so where `negated`. All are of 64 bits.

    A call that takes an int sees the lower half alone: its mask must have no more than 32 bits, or whoever sets the
    upper half goes past the rule (CVE-2019-10063).
    """

    index: int
    least: int
    most: int
    mask: int = MOST
    negated: bool = False

    def holds(self, arguments: tuple[int, ...]) -> bool:
        """Whether it holds for six arguments: what the compiled program does, said plainly."""
        return (self.least <= arguments[self.index] & self.mask <= self.most) is not self.negated


@dataclass(frozen=True, slots=True)
class Rule:
    """What to do with a call if all of its conditions hold."""

    action: Action
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A profile: rules for calls by name, `otherwise` for every other that zonectl knows, `unknown` for the rest.

    The first rule whose conditions hold decides. `unknown` answers numbers that no call of the architecture's table
    has: those newer than zonectl. Names that an architecture does not have mean nothing on it. `no_new_privs` says
    that the profile is meant for programs that gain nothing by exec.
    """

    name: str
    rules: Mapping[str, tuple[Rule, ...]]
    otherwise: Action = EPERM
    unknown: Action = ENOSYS
    no_new_privs: bool = False
    passed_over: tuple[str, ...] = field(default=(), compare=False)

    @property
    def digest(self) -> str:
        """The SHA-256 of what it says, whatever it is called: 64 hex digits."""
        said = [f"{self.otherwise.value:#x} {self.unknown.value:#x} {self.no_new_privs:d}"]
        said += [f"{name} {_said(rules)}" for name, rules in sorted(self.rules.items())]
        return hashlib.sha256("\n".join(said).encode()).hexdigest()

    def decide(self, architecture: Architecture, number: int, arguments: tuple[int, ...]) -> Action:
        """The answer to a call, said plainly: what the compiled program must agree with."""
        name = architecture.names.get(number)
        if name is None:
            return self.unknown
        for rule in self.rules.get(name, ()):
            if all(condition.holds(arguments) for condition in rule.conditions):
                return rule.action
        return self.otherwise


def _said(rules: tuple[Rule, ...]) -> str:
    return "; ".join(
        " ".join(
            (
                f"{rule.action.value:#x}",
                *(
                    f"{c.index}&{c.mask:#x} {'!' if c.negated else ''}{c.least:#x}..{c.most:#x}"
                    for c in rule.conditions
                ),
            )
        )
        for rule in rules
    )


def of_names(name: str, allowed: Iterable[str], *, otherwise: Action = EPERM) -> Profile:
    """The profile that allows the calls `allowed`, whatever their arguments, and answers `otherwise` to the rest."""
    return Profile(name=name, rules=dict.fromkeys(sorted(allowed), (Rule(ALLOW),)), otherwise=otherwise)


def errno_number(text: str) -> int | None:
    """The number of an errno by its name; None for what is none."""
    number = getattr(errno, text, None) if text.startswith("E") else None
    return number if isinstance(number, int) and os.strerror(number) else None
