"""Profiles from files: what their keys say, as rules."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from zonectl.model import capabilities
from zonectl.security.seccomp import builtin
from zonectl.security.seccomp.profile import (
    ALLOW,
    ENOSYS,
    EPERM,
    KILL,
    MOST,
    Action,
    Condition,
    Profile,
    Rule,
    Verdict,
    fails,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from zonectl.model.profile_file import OciArgument, OciMatch, OciProfile, OciRule, ProfileFile, When
    from zonectl.security.seccomp.architectures import Architecture

NEEDED: Final = ("execve",)
"""What zonectl itself calls under the filter: nothing else lies between loading it and the zone's program."""

_ACTIONS: Final = {
    "allow": ALLOW,
    "kill": KILL,
    "kill_thread": Action(Verdict.KILL_THREAD),
    "trap": Action(Verdict.TRAP),
    "log": Action(Verdict.LOG),
}
_OCI_ACTIONS: Final = {
    "SCMP_ACT_ALLOW": ALLOW,
    "SCMP_ACT_KILL": Action(Verdict.KILL_THREAD),
    "SCMP_ACT_KILL_THREAD": Action(Verdict.KILL_THREAD),
    "SCMP_ACT_KILL_PROCESS": KILL,
    "SCMP_ACT_LOG": Action(Verdict.LOG),
    "SCMP_ACT_TRAP": Action(Verdict.TRAP),
}
_OCI_ARCHES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
"""What `arches` calls an architecture, after Go."""


def needed_and_refused(profile: Profile) -> tuple[str, ...]:
    """Those of NEEDED that a profile never allows: no program could be started under it."""
    return tuple(name for name in NEEDED if not _ever_allows(profile, name))


def _ever_allows(profile: Profile, name: str) -> bool:
    passing = {Verdict.ALLOW, Verdict.LOG}
    rules = profile.rules.get(name, ())
    decided = any(not rule.conditions for rule in rules)
    actions = [rule.action for rule in rules] + ([] if decided else [profile.otherwise])
    return any(action.verdict in passing for action in actions)


# ------------------------------------------------------------------------------------------------------ our own form


def of_file(file: ProfileFile, name: str) -> Profile:
    """The profile of a file of our own form, which has been found to be right. Its rules come before the base's."""
    base = builtin.named(file.base, nesting=False) if file.base else None
    rules: dict[str, tuple[Rule, ...]] = {}
    for text in file.rules:
        rule = Rule(_action(text.action), tuple(map(_condition, text.when)))
        for call in text.calls:
            rules[call] = (*rules.get(call, ()), rule)
    for call in file.allow:
        rules[call] = (*rules.get(call, ()), Rule(ALLOW))
    otherwise = _action(file.otherwise)
    rules |= dict.fromkeys(file.refuse, (Rule(otherwise),))
    if base is not None:
        rules = {call: (*rules.get(call, ()), *base.rules.get(call, ())) for call in {*rules, *base.rules}}
    return Profile(
        name=name,
        rules=rules,
        otherwise=otherwise,
        unknown=_action(file.unknown),
        no_new_privs=file.no_new_privs or (base is not None and base.no_new_privs),
    )


def _action(word: str) -> Action:
    if word in _ACTIONS:
        return _ACTIONS[word]
    number = word.removeprefix("errno ")
    return fails(int(number) if number.isdecimal() else getattr(errno, word))


def _condition(when: When) -> Condition:
    largest = 2**when.bits - 1
    mask = largest if when.mask is None else when.mask
    if when.differs is not None:
        return Condition(when.argument, when.differs, when.differs, mask=mask, negated=True)
    if when.equals is not None:
        return Condition(when.argument, when.equals, when.equals, mask=mask)
    least = 0 if when.least is None else when.least
    return Condition(when.argument, least, largest if when.most is None else when.most, mask=mask)


# --------------------------------------------------------------------------------------------------------------- OCI


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What `includes` and `excludes` are about: the zone's capabilities (a mask), and the host."""

    capabilities: int
    architecture: Architecture
    kernel: tuple[int, int]


def of_oci(file: OciProfile, name: str, *, setting: Setting, known: Collection[str]) -> Profile:
    """The profile of a file as runc and podman read it, which has been found to be right.

    A rule without conditions decides a call whatever other rules say of it, as in libseccomp; of those with conditions
    the first that holds does. What the file allows of calls that nobody here knows is passed over.
    """
    rules: dict[str, tuple[Rule, ...]] = {}
    passed_over: set[str] = set()
    for rule in file.syscalls:
        if not _applies(rule, setting):
            continue
        for call in rule.names or (rule.name,):
            if call in known:
                rules[call] = (*rules.get(call, ()), *_oci_rules(rule))
            else:
                passed_over.add(call)
    otherwise = _oci_action(file.default_action, file.default_errno_ret, file.default_errno)
    decided = {call: _decided(listed) for call, listed in rules.items()}
    refuses = otherwise.verdict is Verdict.ERRNO
    return Profile(
        name=name,
        rules=(_newer(file, setting.architecture) | decided) if refuses else decided,
        otherwise=otherwise,
        unknown=ENOSYS if refuses else otherwise,
        passed_over=tuple(sorted(passed_over)),
    )


def _newer(file: OciProfile, architecture: Architecture) -> dict[str, tuple[Rule, ...]]:
    """Calls newer than all that the file names: not there, rather than refused, so that programs fall back."""
    named = {name for rule in file.syscalls for name in (*rule.names, rule.name)}
    newest = max((number for name, number in architecture.numbers.items() if name in named), default=0)
    return {name: (Rule(ENOSYS),) for name, number in architecture.numbers.items() if number > newest}


def _decided(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    for rule in rules:
        if not rule.conditions:
            return (rule,)
    return rules


def _oci_action(word: str, number: int | None, name: str) -> Action:
    if word in _OCI_ACTIONS:
        return _OCI_ACTIONS[word]
    if number is None and not name:
        return EPERM
    return fails(getattr(errno, name) if number is None else number)


def _oci_rules(rule: OciRule) -> Iterator[Rule]:
    """One rule; or one for each comparison, where two are of the same argument (as runc reads it)."""
    action = _oci_action(rule.action, rule.errno_ret, rule.errno)
    conditions = [_oci_condition(argument) for argument in rule.args]
    if len({condition.index for condition in conditions}) < len(conditions):
        yield from (Rule(action, (condition,)) for condition in conditions)
    else:
        yield Rule(action, tuple(conditions))


def _oci_condition(argument: OciArgument) -> Condition:
    index, value = argument.index, argument.value
    if argument.op == "SCMP_CMP_MASKED_EQ":
        return Condition(index, argument.value_two, argument.value_two, mask=value)
    least, most, negated = {
        "EQ": (value, value, False),
        "NE": (value, value, True),
        "GE": (value, MOST, False),
        "LT": (value, MOST, True),
        "LE": (0, value, False),
        "GT": (0, value, True),
    }[argument.op.removeprefix("SCMP_CMP_")]
    return Condition(index, least, most, negated=negated)


def _applies(rule: OciRule, setting: Setting) -> bool:
    includes, excludes = rule.includes, rule.excludes
    held = _held(setting)
    arch = _OCI_ARCHES[setting.architecture.name]
    return (
        all(cap.upper() in held for cap in includes.caps)
        and (not includes.arches or arch in includes.arches)
        and (not includes.min_kernel or setting.kernel >= _version(includes))
        and not any(cap.upper() in held for cap in excludes.caps)
        and arch not in excludes.arches
        and not (excludes.min_kernel and setting.kernel >= _version(excludes))
    )


def _held(setting: Setting) -> Iterable[str]:
    return {f"CAP_{name.upper()}" for name in capabilities.names(setting.capabilities)}


def _version(match: OciMatch) -> tuple[int, int]:
    major, minor = match.min_kernel.split(".")
    return int(major), int(minor)
