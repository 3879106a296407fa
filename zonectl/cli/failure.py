"""Failures in words, and as exit codes: 1 failed, 2 usage or configuration, 3 wrong state, 4 no such zone."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING

from zonectl.errors import (
    ConfigError,
    NoSuchZone,
    ProgramError,
    StateError,
    UsageError,
    ZonectlError,
    ZoneExists,
)
from zonectl.model.escape import escape

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

FAILED = 1
USAGE = 2
WRONG_STATE = 3
NO_SUCH_ZONE = 4
FOREGROUND = 125
NOT_EXECUTABLE = 126
NOT_FOUND = 127
INTERRUPTED = 130
BROKEN_PIPE = 141

_COMMANDS = frozenset(
    {"apt-get", "chown", "chmod", "modprobe", "mount", "nft", "sudo", "sysctl", "systemctl", "zonectl"}
)
_COMMAND_LINE = "--set"


def code(error: Exception, *, foreground: bool = False) -> int:
    """The exit code of a failure; `foreground` for verbs whose other codes are those of the program that they run."""
    if foreground:
        return _foreground_code(error)
    match error:
        case UsageError() | ConfigError():
            return USAGE
        case StateError() | ZoneExists():
            return WRONG_STATE
        case NoSuchZone():
            return NO_SUCH_ZONE
    return FAILED


def _foreground_code(error: Exception) -> int:
    if isinstance(error, ProgramError):
        return NOT_FOUND if error.errno == errno.ENOENT else NOT_EXECUTABLE
    return FOREGROUND


def lines(error: Exception) -> list[str]:
    """The failure in words: one line, or one for each problem of a zone file, and what to do in a last one."""
    return [escape(line) for line in _lines(error)]


def _lines(error: Exception) -> Iterator[str]:
    match error:
        case ConfigError():
            for problem in error.problems:
                yield f"zonectl: {problem}" if problem.file == _COMMAND_LINE else str(problem)
        case ZonectlError():
            yield f"zonectl: {_sentence(error)}"
            if error.hint:
                yield _hint(error.hint)
        case OSError():
            subject = f"{error.filename}: " if error.filename else ""
            yield f"zonectl: {subject}{error.strerror or error}"
        case _:
            yield f"zonectl: internal error: {type(error).__name__}: {error}"
            yield "  --debug before the verb shows where"


def _sentence(error: ZonectlError) -> str:
    if isinstance(error, ProgramError):
        where = f"{error.zone}: " if error.zone else ""
        return f"{where}cannot execute {error.message}"
    return str(error)


def _hint(hint: str) -> str:
    is_command = hint.split(" ", 1)[0] in _COMMANDS
    return f"  try: {hint}" if is_command else f"  {hint}"


def tell(error: Exception, *, debug: bool = False) -> None:
    """Write the failure to standard error, with `debug` after its traceback and its notes."""
    if debug:
        complain(escape("".join(traceback.format_exception(error)).rstrip("\n"), keep="\n"))
    complain("\n".join(lines(error)))


def complain(text: str) -> None:
    """Write a line, or several at once, to standard error; in vain where nobody is there any more."""
    if sys.stderr is not None:
        try:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()
        except OSError:
            give_up(sys.stderr)


def give_up(stream: TextIO) -> None:
    """Have what is still buffered go nowhere, or the interpreter's end would fail on it once more."""
    with suppress(OSError, AttributeError, ValueError):
        fd = stream.fileno()
        null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(null, fd)
        os.close(null)
