"""A profile as the text of a file of our own form: what `files` reads back to the same profile. Pure."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from zonectl.security.seccomp.profile import ALLOW, ENOSYS, EPERM, MOST, WORD

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from zonectl.security.seccomp.profile import Action, Condition, Profile, Rule

_WIDTH: Final = 110


def text(profile: Profile, *, comments: Sequence[str] = ()) -> str:
    """The file of `profile`, with lines of comment before it."""
    parts = ["".join(f"# {line}".rstrip() + "\n" for line in comments)] if comments else []
    parts.append("".join(_head(profile)))
    parts += _rules(profile)
    return "\n".join(part for part in parts if part)


def _head(profile: Profile) -> Iterator[str]:
    if profile.otherwise != EPERM:
        yield f'otherwise = "{profile.otherwise.word}"\n'
    if profile.unknown != ENOSYS:
        yield f'unknown = "{profile.unknown.word}"\n'
    if profile.no_new_privs:
        yield "no_new_privs = true\n"
    # One a line: whoever wonders about a call can take it out, and a new version is compared at a glance.
    calls = [name for name, rules in sorted(profile.rules.items()) if _always(rules) == ALLOW]
    yield f"allow = {_names(calls)}\n"


def _rules(profile: Profile) -> Iterator[str]:
    answered = defaultdict(list)
    for name, rules in sorted(profile.rules.items()):
        always = _always(rules)
        if always is None:
            for rule in _reached(rules):
                yield _rule([name], rule.action, rule.conditions)
        elif always != ALLOW:
            answered[always].append(name)
    for action, names in answered.items():
        yield _rule(names, action, ())


def _always(rules: Sequence[Rule]) -> Action | None:
    """What the rules of a call come to whatever its arguments are; None where these matter."""
    return rules[0].action if rules and not rules[0].conditions else None


def _reached(rules: Sequence[Rule]) -> Iterator[Rule]:
    """The rules up to the first that always holds."""
    for rule in rules:
        yield rule
        if not rule.conditions:
            return


def _rule(calls: Sequence[str], action: Action, conditions: Iterable[Condition]) -> str:
    whens = "".join(_when(condition) for condition in conditions)
    return f'[[rule]]\ncalls = {_names(calls)}\naction = "{action.word}"\n{whens}'


def _when(condition: Condition) -> str:
    bits = 32 if max(condition.mask, condition.least) <= WORD else 64
    lines = [f"argument = {condition.index}", f"bits = {bits}"]
    if condition.mask != 2**bits - 1:
        lines.append(f"mask = {condition.mask:#x}")
    lines += _bounds(condition, most=2**bits - 1)
    return "[[rule.when]]\n" + "".join(f"{line}\n" for line in lines)


def _bounds(condition: Condition, *, most: int) -> Iterator[str]:
    least, last = condition.least, condition.most
    if least == last:
        yield f"{'differs' if condition.negated else 'equals'} = {least:#x}"
        return
    if condition.negated:
        # Outside of a range that begins or ends with the numbers; nothing makes others.
        least, last = (last + 1, MOST) if least == 0 else (0, least - 1)
    if least > 0 or last >= most:
        yield f"least = {least:#x}"
    if last < most:
        yield f"most = {last:#x}"


def _names(names: Iterable[str]) -> str:
    quoted = [f'"{name}"' for name in names]
    short = f"[{', '.join(quoted)}]"
    return (
        short
        if len(short) < _WIDTH - len("allow = ")
        else "[\n" + "".join(f"    {name},\n" for name in quoted) + "]"
    )
