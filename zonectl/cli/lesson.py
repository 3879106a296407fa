"""What `learn` gives to the course of learning, and how it says what was learned."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from typing import TYPE_CHECKING, Final

from zonectl.cli.local import lendable
from zonectl.config import files
from zonectl.errors import UsageError
from zonectl.model.escape import escape
from zonectl.model.seccomp import OFF, PROFILES
from zonectl.runtime import filters
from zonectl.runtime.learning.course import Lesson, words
from zonectl.security.seccomp import builtin, observed, writing

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable, Iterator
    from contextlib import ExitStack

    from zonectl.model.config import ZoneConfig
    from zonectl.model.facts import HostFacts
    from zonectl.runtime.learning.course import Learned
    from zonectl.security.seccomp.observed import Permission
    from zonectl.security.seccomp.profile import Profile

_MOST_INPUT_BYTES: Final = 64 << 20
_CHUNK_BYTES: Final = 1 << 16
_STANDARD_ERROR: Final = 2
_WIDTH: Final = 100


def make(zone: ZoneConfig, options: Namespace, *, facts: HostFacts, held: ExitStack) -> Lesson:
    """The lesson of a command line; what it needs is closed and removed with `held`.

    Raises:
        UsageError: the standard input cannot be given again and again.
        ConfigError: the file of system calls that the zone file names has problems.

    """
    return Lesson(
        config=zone,
        within=_profile_of(zone, facts),
        tell=_tell if sys.stderr.isatty() else _say_nothing,
        stdin=_recorded_input(held),
        show=_STANDARD_ERROR,
        timeout_s=options.timeout,
        status=options.status,
        compare_output=not options.ignore_output,
        quick=options.quick,
    )


def _profile_of(zone: ZoneConfig, facts: HostFacts) -> Profile:
    """The profile of the zone file; where it has none, the answers of the default one are good ones."""
    wanted = zone.security
    if wanted.seccomp in {OFF, *PROFILES}:
        name = "default" if wanted.seccomp == OFF else wanted.seccomp
        return builtin.named(name, nesting=wanted.nesting)
    text = files.file_text(wanted.seccomp)
    found = filters.profile_of(text, wanted.seccomp, capabilities=zone.granted.granted, facts=facts)
    return found if wanted.nesting else builtin.guarded(found)


def end_at_signals(held: ExitStack) -> None:
    """Have SIGTERM and SIGHUP do what Ctrl-C does, until `held` ends: what has been begun is cleared away."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        held.callback(signal.signal, number, signal.signal(number, signal.default_int_handler))


def _recorded_input(held: ExitStack) -> int | None:
    """A file with all of the standard input; None where it is a terminal, which nobody types at twice, or null."""
    if os.isatty(0) or lendable(0) is None:
        return None
    copy = os.memfd_create("input", os.MFD_CLOEXEC)
    held.callback(os.close, copy)
    size = 0
    while data := os.read(0, _CHUNK_BYTES):
        size += len(data)
        if size > _MOST_INPUT_BYTES:
            raise UsageError(f"the standard input is longer than {_MOST_INPUT_BYTES >> 20} MiB")
        os.write(copy, data)
    return copy


def _tell(progress: str) -> None:
    print(f"zonectl: {progress}", file=sys.stderr)


def _say_nothing(_progress: str) -> None:
    return


# ------------------------------------------------------------------------------------------------- what was learned


def table(zone: ZoneConfig, learned: Learned, *, path: str) -> str:
    """The `[security]` table, with what it rests on as comments."""
    lines = [
        *(f"# {line}" for line in _header(zone, learned)),
        "[security]",
        f"capabilities = {json.dumps(words(zone, learned.capabilities))}",
        f"seccomp = {json.dumps(path)}",
    ]
    if zone.security.no_new_privs:
        lines.append("no_new_privs = true")
    if zone.security.nesting or any(map(observed.nests, learned.calls)):
        lines.append("nesting = true")
    return "".join(f"{line}\n" for line in lines)


def profile_file(zone: ZoneConfig, learned: Learned) -> str:
    """The text of the file of system calls."""
    return writing.text(learned.profile, comments=[*_header(zone, learned), *_notes(learned)])


def _header(zone: ZoneConfig, learned: Learned) -> Iterator[str]:
    command = shlex.join(escape(word) for word in zone.command)
    yield f"What this workload needs, learned by `zonectl learn` in {learned.runs} runs: {command}"
    output = ", and writes what it wrote when it was watched" if learned.output else ""
    yield f"With this it ends as it should{output}."
    if learned.tried:
        rest = ", but for those that are told below to be left to it" if learned.spared else ""
        yield f"Without any one capability or system call of it, it does not{rest}."
    else:
        yield "Capabilities have been taken away on trial, system calls have not."
    if learned.foreign:
        yield f"No profile can allow what it has called besides: {', '.join(learned.foreign)}."


def _notes(learned: Learned) -> Iterator[str]:
    if learned.tried and learned.spared:
        yield ""
        yield "Not taken away on trial: by these a program gives up rights, or comes back from a signal."
        yield from _wrapped(learned.spared)
    if learned.idle:
        yield ""
        yield "Called as well, and refused here, since nothing that is compared changes without:"
        yield from _wrapped(learned.idle)


def _wrapped(calls: Iterable[Permission]) -> Iterator[str]:
    line = ""
    for word in map(str, calls):
        if len(line) + len(word) > _WIDTH:
            yield line
            line = ""
        line += f"  {word}" if not line else f", {word}"
    if line:
        yield line
