"""Whole commands, timed from their start to their end: of zonectl as a user types it, and of others."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from zonectl.errors import BenchError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zonectl.model.instance import Instance

TIMEOUT_S: Final = 60.0
_MOST_ERRORS: Final = 1 << 16
_ELF: Final = b"\x7fELF"


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """The installed command, for one instance: `program` are the words that start it."""

    program: tuple[str, ...]
    environment: Mapping[str, str]

    def time(self, *words: str, timeout_s: float = TIMEOUT_S) -> int:
        """Run `zonectl words…`; raises as `timed`."""
        return timed((*self.program, *words), self.environment, timeout_s=timeout_s)


def client(instance: Instance, *, words: Sequence[str] | None = None) -> Client:
    """The command that runs now, as it is typed; `words` start it, those of this process otherwise."""
    if words is None:
        words = sys.orig_argv[: len(sys.orig_argv) - len(sys.argv) + 1]
    script = os.path.abspath(words[-1])
    environment = {**os.environ, "ZONECTL_ROOT": instance.root, "ZONECTL_RUN": instance.run}
    program = (_in_c(script) or script,) if os.access(script, os.X_OK) else (*words[:-1], script)
    return Client(program=tuple(program), environment=environment)


def _in_c(script: str) -> str | None:
    """The client in C that leaves the rest to the launcher `script`, where tools/venv or tools/install put it."""
    folder = os.path.dirname(os.path.dirname(script))
    for place in (folder, os.path.dirname(os.path.dirname(folder))):
        path = os.path.join(place, "bin", "zonectl")
        try:
            with open(path, "rb") as file:
                content = file.read()
        except OSError:
            continue
        if content.startswith(_ELF) and os.fsencode(script) + b"\0" in content:
            return path
    return None


def timed(argv: Sequence[str], environment: Mapping[str, str], *, timeout_s: float = TIMEOUT_S) -> int:
    """Run a program with nothing to read, whose output nobody wants; the nanoseconds that it took, its start included.

    It has a session of its own: Ctrl-C, and a signal that does the same, lets it end first, so that nobody has to guess
    what it has done. It is killed after `timeout_s`.

    Raises:
        BenchError: it cannot be executed, fails (with the last line of its errors), or takes too long.

    """
    errors = os.memfd_create("errors", os.MFD_CLOEXEC)
    try:
        began = _now()
        pid = _spawn(argv, environment, errors)
        took = _until_end(pid, timeout_s) - began
        return _verified(argv, pid, errors, took=took, timeout_s=timeout_s)
    finally:
        os.close(errors)


def _spawn(argv: Sequence[str], environment: Mapping[str, str], errors: int) -> int:
    actions = (
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
        (os.POSIX_SPAWN_DUP2, errors, 2),
    )
    try:
        return os.posix_spawn(
            argv[0],
            list(argv),
            environment,
            file_actions=actions,
            setsid=True,
            setsigmask=(),
            setsigdef=(signal.SIGPIPE,),  # Python ignores it
        )
    except OSError as error:
        raise BenchError(f"{argv[0]}: {error.strerror}") from error


def _until_end(pid: int, timeout_s: float) -> int:
    """When the process has ended, or its time was over; it is a zombie then, or about to be one."""
    pidfd = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    try:
        poll.poll(timeout_s * 1000)
        return _now()
    except KeyboardInterrupt:
        poll.poll(timeout_s * 1000)
        _reap(pid)
        raise
    finally:
        os.close(pidfd)


def _reap(pid: int) -> int:
    """Kill the process, if it has not ended, and fetch its status."""
    os.kill(pid, signal.SIGKILL)  # it is ours and not reaped: the number is still its own
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _verified(argv: Sequence[str], pid: int, errors: int, *, took: int, timeout_s: float) -> int:
    """The time, if the process has ended well and in time."""
    status = _reap(pid)
    if status == 0:
        return took
    said = os.pread(errors, _MOST_ERRORS, 0).decode(errors="replace").splitlines()
    lines = [line for line in said if line.strip() and not line.startswith(" ")]  # indented: hints
    late = took >= timeout_s * 1e9
    reason = f"not done within {timeout_s:g} s" if late else (lines or [f"status {status}"])[-1]
    raise BenchError(f"{os.path.basename(argv[0])}: {reason.removeprefix('zonectl: ')}")


def _now() -> int:
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
