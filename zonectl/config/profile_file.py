"""Read files of system calls: TOML of our own form, JSON as OCI runtimes read it; or every problem at once.

Which calls there are, the caller says: `known` has the names of all, of whatever architecture.
"""

from __future__ import annotations

import errno
import json
from typing import TYPE_CHECKING, cast

from zonectl.config.files import nearest_line, toml_document
from zonectl.config.kinds import toml_type
from zonectl.config.locator import key_text, locate
from zonectl.config.nearest import nearest
from zonectl.config.profile_fields import OCI, PROFILE
from zonectl.config.walker import Finding, Walker
from zonectl.errors import ConfigError
from zonectl.model.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from zonectl.config.locator import Path
    from zonectl.model.profile_file import OciProfile, OciRule, ProfileFile, RuleText, When

_MOST_GUESSES = 100
"""How often the nearest name is looked for, at 2 ms each: a file of a megabyte has room for 50,000 unknown ones."""

_HARMLESS_FLAGS = {"SECCOMP_FILTER_FLAG_TSYNC"}
"""A zone's process has one thread when it is given its filter."""


def read_toml(text: str, *, file: str, known: Collection[str]) -> ProfileFile:
    """The profile that a TOML text of our own form describes; `file` is what problems name.

    Raises:
        ConfigError: with every problem, in the order of the file.

    """
    document = toml_document(text, file)
    walker = Walker(PROFILE, "/")
    profile = cast("ProfileFile", walker.document(document))
    findings = [*walker.findings, *_unknown_names(document, known)]
    findings += _alone(walker.findings, _contradictions(profile))
    if findings:
        lines = locate(text)
        problems = _problems(findings, file, lines)
        raise ConfigError(sorted(problems, key=lambda problem: problem.line or 0))
    return profile


def read_oci(text: str, *, file: str, known: Collection[str], architecture: str) -> OciProfile:
    """The profile that a JSON text describes, as runc and podman read it; `architecture` is the host's (SCMP_ARCH_*).

    Raises:
        ConfigError: with every problem.

    """
    document = _json_document(text, file)
    walker = Walker(OCI, "/")
    profile = cast("OciProfile", walker.document(document))
    findings = walker.findings + _alone(walker.findings, _oci_findings(profile, known, architecture))
    if findings:
        raise ConfigError(list(_problems(findings, file, {})))
    return profile


def _alone(before: list[Finding], judged: Iterator[Finding]) -> list[Finding]:
    """What is found of a document whose values are right, one by one; of another it cannot be said."""
    return [] if before else list(judged)


def _problems(findings: Iterable[Finding], file: str, lines: Mapping[Path, int]) -> Iterator[Problem]:
    for found in findings:
        yield Problem(
            file=file,
            line=nearest_line(lines, found.path),
            key=key_text(found.path),
            message=found.message,
            suggestion=found.suggestion,
        )


# ------------------------------------------------------------------------------------------------------ our own form


def _unknown_names(document: Mapping[str, object], known: Collection[str]) -> Iterator[Finding]:
    lists: list[tuple[Path, object]] = [
        (("allow",), document.get("allow")),
        (("refuse",), document.get("refuse")),
    ]
    rules = document.get("rule")
    for index, rule in enumerate(rules if isinstance(rules, list) else ()):
        if isinstance(rule, dict):
            lists.append((("rule", index, "calls"), rule.get("calls")))
    guesses = 0
    for path, names in lists:
        for index, name in enumerate(names if isinstance(names, list) else ()):
            if isinstance(name, str) and name not in known:
                guesses += 1
                meant = nearest(name[:64], known) if guesses <= _MOST_GUESSES else None
                yield Finding((*path, index), f"there is no system call {name!r:.70}", meant)


def _contradictions(profile: ProfileFile) -> Iterator[Finding]:
    allowed, refused = set(profile.allow), set(profile.refuse)
    for index, name in enumerate(profile.refuse):
        if name in allowed:
            yield Finding(("refuse", index), f"{name} is in allow as well")
    settled: set[str] = set()
    for number, rule in enumerate(profile.rules):
        for index, name in enumerate(rule.calls):
            path = ("rule", number, "calls", index)
            if name in refused:
                yield Finding(path, f"{name} is in refuse as well")
            elif name in settled:
                yield Finding(path, f"a rule before this one decides every call of {name}")
        if not rule.when:
            settled |= set(rule.calls)
        yield from _conditions(rule, number)


def _conditions(rule: RuleText, number: int) -> Iterator[Finding]:
    for index, when in enumerate(rule.when):
        for key, message in _condition(when):
            path: Path = ("rule", number, "when", index)
            yield Finding((*path, key) if key else path, message)


def _condition(when: When) -> Iterator[tuple[str, str]]:
    largest = 2**when.bits - 1
    given = {
        key: value
        for key in ("mask", "equals", "differs", "least", "most")
        if (value := getattr(when, key)) is not None
    }
    forms = given.keys() - {"mask"}
    if not forms:
        yield "", "needs one of equals, differs, least or most"
    elif len(forms) > 1 and forms != {"least", "most"}:
        yield "", f"cannot have {' and '.join(sorted(forms))}: write two conditions"
    for key, value in given.items():
        if value > largest:
            yield key, f"{value:#x} has more than {when.bits} bits"
    if when.least is not None and when.most is not None and when.least > when.most:
        yield "most", f"{when.most} is less than least, {when.least}"
    mask = largest if when.mask is None else when.mask
    for key in ("equals", "differs"):
        value = given.get(key, 0)
        if value <= largest and value & ~mask:
            yield key, f"{value:#x} has bits that mask {mask:#x} leaves out, and is never seen"


# --------------------------------------------------------------------------------------------------------------- OCI


def _json_document(text: str, file: str) -> dict[str, object]:
    try:
        document = json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except RecursionError:
        message = "arrays or objects are nested too deeply"
    except json.JSONDecodeError as error:
        place = f"at column {error.colno}"
        problem = Problem(file=file, line=error.lineno, key="", message=f"not JSON: {error.msg}, {place}")
        raise ConfigError([problem]) from None
    except ValueError as error:
        message = str(error)
    else:
        if isinstance(document, dict):
            return document
        message = f"must be an object, not {toml_type(document)}"
    raise ConfigError([Problem(file=file, line=None, key="", message=message)])


def _object(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    """An object without its nulls, which mean the same as nothing (podman writes `"args": null`)."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, _ in pairs if sum(key == other for other, _ in pairs) > 1)
        raise ValueError(f"the key {twice!r:.70} stands twice in one object")
    return {key: value for key, value in found.items() if value is not None}


def _no_constant(word: str) -> object:
    raise ValueError(f"not JSON: {word}")


def _oci_findings(profile: OciProfile, known: Collection[str], architecture: str) -> Iterator[Finding]:
    for index, flag in enumerate(profile.flags):
        if flag not in _HARMLESS_FLAGS:
            yield Finding(("flags", index), f"the flag {flag} is not supported")
    for key, listed in (
        ("architectures", profile.architectures),
        ("archMap", tuple(each.architecture for each in profile.arch_map)),
    ):
        if listed and architecture not in listed:
            yield Finding((key,), f"the profile is for {', '.join(listed)}, and this host is {architecture}")
    given = (profile.default_action, profile.default_errno_ret, profile.default_errno)
    yield from _errno_findings("defaultErrno", given)
    for number, rule in enumerate(profile.syscalls):
        for found in _oci_rule(rule, profile, known):
            yield Finding(("syscalls", number, *found.path), found.message, found.suggestion)


def _oci_rule(rule: OciRule, profile: OciProfile, known: Collection[str]) -> Iterator[Finding]:
    names = rule.names or ((rule.name,) if rule.name else ())
    if not names:
        yield Finding((), "names no system call")
    if rule.names and rule.name:
        yield Finding(("name",), "cannot stand beside names")
    for name in names:
        # Those of other architectures are in every such file. To pass one over is harmless only where it is allowed
        # what others are not.
        if name not in known and rule.action not in {"SCMP_ACT_ALLOW", profile.default_action}:
            message = f"there is no system call {name!r} to refuse"
            yield Finding(("names",), message, nearest(name, known))
    yield from _errno_findings("errno", (rule.action, rule.errno_ret, rule.errno))
    for index, argument in enumerate(rule.args):
        if argument.value_two and argument.op != "SCMP_CMP_MASKED_EQ":
            yield Finding(("args", index, "valueTwo"), f"means nothing with {argument.op}")


def _errno_findings(key: str, given: tuple[str, int | None, str]) -> Iterator[Finding]:
    """Of an action, the number of an errno, and its name, which stand at KEYRet and KEY."""
    action, number, name = given
    if action != "SCMP_ACT_ERRNO" and number is not None:
        yield Finding((f"{key}Ret",), f"means nothing with {action}")
    if name and number is not None and getattr(errno, name) != number:
        yield Finding((key,), f"{name} is {getattr(errno, name)}, and {key}Ret is {number}")
