"""From the system calls that a workload was seen to make to the profile that allows these and no others. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from zonectl.security.seccomp.builtin import CLONE_NAMESPACES, CLONE_NEWTIME
from zonectl.security.seccomp.profile import ALLOW, EPERM, WORD, Condition, Profile, Rule, Verdict

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from zonectl.security.seccomp.architectures import Architecture

TELLING: Final = {
    "arch_prctl": (0, WORD),
    "bpf": (0, WORD),
    "clone": (0, CLONE_NAMESPACES),
    "ioctl": (1, WORD),
    "keyctl": (0, WORD),
    "personality": (0, WORD),
    "prctl": (0, WORD),
    "ptrace": (0, WORD),
    "seccomp": (0, WORD),
    "setns": (1, WORD),
    "socket": (0, WORD),
    "socketpair": (0, WORD),
    "unshare": (0, CLONE_NAMESPACES | CLONE_NEWTIME),
}
"""The calls that are many in one: which argument says what is asked for, and which of its bits.

Flags that open nothing are not among these bits, and no call is whose arguments vary from run to run, or that is made
so often that looking at an argument would be felt (seccomp costs half as much again then).
"""

_GIVING_UP: Final = frozenset(
    (
        *(
            "setuid",
            "setgid",
            "setreuid",
            "setregid",
            "setresuid",
            "setresgid",
            "setfsuid",
            "setfsgid",
            "setgroups",
        ),
        *(
            "capset",
            "chroot",
            "seccomp",
            "landlock_create_ruleset",
            "landlock_add_rule",
            "landlock_restrict_self",
        ),
    )
)
_GIVING_UP_BY_PRCTL: Final = frozenset((4, 22, 24, 28, 38, 47))
"""PR_SET_DUMPABLE, SET_SECCOMP, CAPBSET_DROP, SET_SECUREBITS, SET_NO_NEW_PRIVS, CAP_AMBIENT (linux/prctl.h)."""
_OF_THE_KERNEL: Final = frozenset(("exit", "restart_syscall", "rt_sigreturn"))

Place: TypeAlias = tuple[int, int]
"""AUDIT_ARCH_* and number of a call."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A call that was made `times` times, with `value` in its telling argument; None where it has none."""

    arch: int
    number: int
    value: int | None
    times: int


@dataclass(frozen=True, slots=True)
class Permission:
    """To make the call `name`; with a `value`, only if that is in its telling argument."""

    name: str
    value: int | None = None

    def __str__(self) -> str:
        """As a report says it: "socket(2)" is what TELLING's argument is."""
        return self.name if self.value is None else f"{self.name} {self.value:#x}"


def spared(permission: Permission) -> bool:
    """Whether a call that was seen is left to a workload even if it ends no worse without it.

    A program that cannot give up what it wanted to give up goes on with more than it should have, and often does not
    look. Others are the kernel's, which makes programs return from signals by them: refused, they go astray.
    """
    if permission.name == "prctl":
        return permission.value in _GIVING_UP_BY_PRCTL
    return permission.name in _GIVING_UP | _OF_THE_KERNEL


def nests(permission: Permission) -> bool:
    """Whether a zone needs `nesting` for it: a namespace is made or entered."""
    by_flags = permission.name in {"clone", "unshare"} and bool(permission.value)
    return by_flags or permission.name in {"clone3", "setns"}


def telling(architecture: Architecture) -> dict[Place, tuple[int, int]]:
    """TELLING by architecture and number."""
    numbers = architecture.numbers
    return {(architecture.audit, numbers[name]): where for name, where in TELLING.items() if name in numbers}


def permissions(seen: Iterable[Seen], architecture: Architecture) -> tuple[Permission, ...]:
    """The permissions for what was seen, sorted; calls that no profile can allow are not among them."""
    found = set()
    for call in seen:
        name = architecture.names.get(call.number)
        if call.arch == architecture.audit and name is not None:
            found.add(Permission(name, call.value))
    whole = {permission.name for permission in found if permission.value is None}
    kept = (each for each in found if each.value is None or each.name not in whole)
    return tuple(sorted(kept, key=lambda each: (each.name, each.value or 0)))


def foreign(seen: Iterable[Seen], architecture: Architecture) -> tuple[str, ...]:
    """What was seen and no profile can allow, in words: calls of other architectures, and newer than the tables."""
    words = set()
    for call in seen:
        if call.arch != architecture.audit:
            words.add(f"calls of another architecture (AUDIT_ARCH {call.arch:#x})")
        elif call.number not in architecture.names:
            words.add(f"call number {call.number}, which zonectl does not know")
    return tuple(sorted(words))


def profile(name: str, granted: Collection[Permission], *, within: Profile) -> Profile:
    """The profile that allows `granted`, and answers everything else as `within` does.

    The answers matter: a C library falls back from clone3 for ENOSYS, and for nothing else.
    """
    by_name: dict[str, list[Permission]] = defaultdict(list)
    for permission in granted:
        by_name[permission.name].append(permission)
    rules = {}
    for call in sorted({*by_name, *within.rules}):
        allowed = _allowed(call, by_name[call], within)
        if found := (
            *allowed,
            *_refused(call, within, all_allowed=not allowed[-1].conditions if allowed else False),
        ):
            rules[call] = found
    return Profile(
        name=name,
        rules=rules,
        otherwise=within.otherwise,
        unknown=within.unknown,
        no_new_privs=within.no_new_privs,
    )


def _allowed(call: str, granted: list[Permission], within: Profile) -> tuple[Rule, ...]:
    if not granted:
        return ()
    values = [each.value for each in granted if each.value is not None]
    if call not in TELLING or len(values) < len(granted):
        # Whatever its arguments: as far as the profile goes that it was seen under.
        return tuple(rule for rule in within.rules.get(call, ()) or (Rule(ALLOW),))
    index, mask = TELLING[call]
    return tuple(Rule(ALLOW, (Condition(index, value, value, mask=mask),)) for value in sorted(values))


def _refused(call: str, within: Profile, *, all_allowed: bool) -> tuple[Rule, ...]:
    """The answer of `within` to a call that none of its conditions fits, if it is one of its own."""
    last = within.rules.get(call, ())[-1:]
    answers = bool(last) and not last[0].conditions and last[0].action.verdict is Verdict.ERRNO
    return last if answers and not all_allowed and last[0].action not in {EPERM, within.otherwise} else ()
