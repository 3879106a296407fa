"""Every exception that zonectl raises on purpose.

    ZonectlError
    ├── UsageError            the command line cannot be understood
    ├── ConfigError           a zone file has problems (all of them, as data)
    ├── NoSuchZone            no zone of that name
    ├── ZoneExists            a zone of that name is there already
    ├── StateError            the zone's state does not allow the verb
    ├── Busy                  somebody else holds the zone's lock
    ├── HostLacks             the host cannot do what the zone file asks for
    ├── StoreError            a document or a file of the store is damaged, newer, or cannot be written
    │   └── Damaged           it is there, can be read, and is not what it should be
    ├── ImageError            an image or archive is refused
    ├── SyscallError          a system call failed
    ├── TimedOut              something did not happen in time
    ├── CommandError          a program that zonectl ran failed
    ├── StepError             a step of a plan failed (carries which)
    ├── ProgramError          the zone's program cannot be executed (126, 127)
    ├── DaemonError           zoned cannot be reached, or broke off
    └── BenchError            something cannot be measured, with the reason

Errors carry data; only the command line puts them into words for a terminal.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zonectl.model.problems import Problem


class ZonectlError(Exception):
    """Something went wrong that the user can be told in one line.

    `message` is that line without the zone's name; `zone` the zone it is about, if any; `hint` what to do.
    """

    def __init__(self, message: str, *, zone: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.zone = zone
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.zone}: {self.message}" if self.zone else self.message


class UsageError(ZonectlError):
    """The command line cannot be understood."""


class ConfigError(ZonectlError):
    """A zone file has problems; `problems` holds every one of them, in file order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class NoSuchZone(ZonectlError):
    """No zone has that name."""

    def __init__(self, zone: str, *, hint: str | None = None) -> None:
        super().__init__("no such zone", zone=zone, hint=hint)


class ZoneExists(ZonectlError):
    """A zone of that name is there already."""

    def __init__(self, zone: str) -> None:
        super().__init__("the zone exists already", zone=zone, hint=f"zonectl delete {zone}")


class StateError(ZonectlError):
    """The zone's `state` does not allow `verb`; the hint names the verb that would help."""

    def __init__(self, *, zone: str, state: str, verb: str, hint: str | None = None) -> None:
        super().__init__(f"cannot {verb}: the zone is {state}", zone=zone, hint=hint)
        self.state = state
        self.verb = verb


class Busy(ZonectlError):
    """Somebody else holds the zone's lock; `holder` says who (verb and pid)."""

    def __init__(self, zone: str, *, holder: str) -> None:
        super().__init__(f"busy: {holder}", zone=zone, hint="try again when it has ended")
        self.holder = holder


class HostLacks(ZonectlError):
    """The host cannot do what is asked; the hint is the remedy."""


class StoreError(ZonectlError):
    """A document or file of the store is damaged, newer than this program, or cannot be written."""


class Damaged(StoreError):
    """A document that can be read and is not what it should be: nobody will ever make sense of it."""


class ImageError(ZonectlError):
    """An image or archive is missing, damaged or refused."""


class SyscallError(ZonectlError):
    """The system call `call` on `subject` failed with `errno`; `detail` is what the kernel said beyond that."""

    def __init__(self, call: str, errno: int, subject: str = "", *, detail: str = "") -> None:
        about = f" {subject}" if subject else ""
        said = f" ({detail})" if detail else ""
        super().__init__(f"{call}{about}: {os.strerror(errno)}{said}")
        self.call = call
        self.errno = errno
        self.subject = subject
        self.detail = detail


class TimedOut(ZonectlError):
    """What was waited for did not happen within `after_s` seconds."""

    def __init__(
        self, message: str, *, after_s: float, zone: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(f"{message} within {after_s:g} s", zone=zone, hint=hint)
        self.after_s = after_s


class CommandError(ZonectlError):
    """A program that zonectl ran ended with `status` (negative: a signal) or was stopped for taking too long."""

    def __init__(
        self, argv: Sequence[str], *, status: int, stderr: str = "", hint: str | None = None
    ) -> None:
        last = stderr.strip().splitlines()[-1:] or [f"status {status}"]
        super().__init__(f"{argv[0]}: {last[0]}", hint=hint)
        self.argv = tuple(argv)
        self.status = status
        self.stderr = stderr


class StepError(ZonectlError):
    """The step `step` of a plan failed; the cause is chained."""

    def __init__(self, message: str, *, step: str, zone: str | None = None, hint: str | None = None) -> None:
        super().__init__(f"{step}: {message}", zone=zone, hint=hint)
        self.step = step


class ProgramError(ZonectlError):
    """The zone's program `program` cannot be executed; `errno` says why (ENOENT: not found)."""

    def __init__(self, program: str, errno: int, *, zone: str | None = None) -> None:
        super().__init__(f"{program}: {os.strerror(errno)}", zone=zone)
        self.program = program
        self.errno = errno


class DaemonError(ZonectlError):
    """The daemon zoned cannot be reached, or broke off."""


class BenchError(ZonectlError):
    """Something cannot be measured here: a workload, an arm, or the whole of it."""
