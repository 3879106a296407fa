"""Programs that zonectl runs (nft, mmdebstrap): without a shell, bounded in time and output, never left behind."""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from zonectl.errors import CommandError
from zonectl.kernel import proc

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping, Sequence

MAX_OUTPUT_BYTES: Final = 64 * 1024 * 1024
CHUNK_BYTES: Final = 65536

CANNOT_EXECUTE: Final = 126
NOT_FOUND: Final = 127


@dataclass(frozen=True, slots=True)
class CompletedCommand:
    """What a program that ended with status 0 wrote."""

    stdout: bytes
    stderr: bytes


class _StoppedError(Exception):
    """The program must be stopped; the message says why."""


def run(
    argv: Sequence[str],
    *,
    timeout_s: float,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    hint: str | None = None,
    max_output_bytes: int = MAX_OUTPUT_BYTES,
) -> CompletedCommand:
    """Run a program in a session of its own to its end, and kill what it leaves there.

    Its whole tree is killed when the time is over, it writes more than `max_output_bytes`, or anything is raised
    here. `hint` goes into the error, such as the package that a missing program is in.

    Raises:
        CommandError: it is missing (127), cannot be executed (126), ended with another status than 0, or was killed.

    """
    note = ""
    with ExitStack() as cleanup:
        pipes = _Pipes(cleanup)
        process = _start(argv, pipes, env=env, cwd=cwd, hint=hint)
        cleanup.callback(process.wait)
        cleanup.callback(_kill_tree, process.pid)
        conversation = _Conversation(pipes, stdin, max_output_bytes)
        try:
            conversation.hold(process.pid, timeout_s=timeout_s)
        except _StoppedError as stopped:
            note = f"\nstopped: {stopped}"
    if process.returncode != 0 or note:
        stderr = conversation.stderr.decode(errors="replace") + note
        raise CommandError(argv, status=process.returncode, stderr=stderr, hint=hint)
    return CompletedCommand(bytes(conversation.stdout), bytes(conversation.stderr))


class _Pipes:
    """Three pipes, both ends of each: the program's input, output and errors."""

    def __init__(self, cleanup: ExitStack) -> None:
        self._open: set[int] = set()
        cleanup.callback(self._close_all)
        self.theirs_in, self.ours_in = self._pair()
        self.ours_out, self.theirs_out = self._pair()
        self.ours_err, self.theirs_err = self._pair()
        for fd in (self.ours_in, self.ours_out, self.ours_err):
            os.set_blocking(fd, False)

    def _pair(self) -> tuple[int, int]:
        ends = os.pipe()
        self._open.update(ends)
        return ends

    def close(self, *fds: int) -> None:
        for fd in fds:
            self._open.discard(fd)
            os.close(fd)

    def _close_all(self) -> None:
        self.close(*tuple(self._open))


def _start(
    argv: Sequence[str], pipes: _Pipes, *, env: Mapping[str, str] | None, cwd: str | None, hint: str | None
) -> subprocess.Popen[bytes]:
    import subprocess  # 9 ms, and most commands of zonectl run no program

    theirs = pipes.theirs_in, pipes.theirs_out, pipes.theirs_err
    try:
        return subprocess.Popen(
            argv,
            stdin=theirs[0],
            stdout=theirs[1],
            stderr=theirs[2],
            env=env,
            cwd=cwd,
            start_new_session=True,
        )
    except OSError as error:
        status = NOT_FOUND if isinstance(error, FileNotFoundError) else CANNOT_EXECUTE
        raise CommandError(argv, status=status, stderr=error.strerror or "", hint=hint) from error
    finally:
        pipes.close(*theirs)


class _Conversation:
    """What goes to the program and comes back, until it has ended."""

    def __init__(self, pipes: _Pipes, stdin: bytes, max_output_bytes: int) -> None:
        self._pipes = pipes
        self._unsent = memoryview(stdin)
        self._max_output_bytes = max_output_bytes
        self.stdout = bytearray()
        self.stderr = bytearray()

    def hold(self, pid: int, *, timeout_s: float) -> None:
        """Write and read until the program has ended, then read what is there: a child of it may hold the pipes."""
        pidfd = os.pidfd_open(pid)
        read_out = partial(self._read, self._pipes.ours_out, self.stdout)
        read_err = partial(self._read, self._pipes.ours_err, self.stderr)
        turns: dict[int, Callable[[], bool]] = {
            pidfd: lambda: False,
            self._pipes.ours_in: self._write,
            self._pipes.ours_out: read_out,
            self._pipes.ours_err: read_err,
        }
        try:
            _take_turns(turns, until=pidfd, timeout_s=timeout_s)
        finally:
            os.close(pidfd)
        _drain(read_out, self.stdout)
        _drain(read_err, self.stderr)

    def _write(self) -> bool:
        """Send some of the input; False, with its pipe closed, when there is no more or nobody reads it."""
        try:
            self._unsent = self._unsent[os.write(self._pipes.ours_in, self._unsent[:CHUNK_BYTES]) :]
        except BlockingIOError:
            return True
        except BrokenPipeError:
            self._unsent = self._unsent[:0]
        if not self._unsent:
            self._pipes.close(self._pipes.ours_in)
        return bool(self._unsent)

    def _read(self, fd: int, into: bytearray) -> bool:
        """Read some of an output; False at its end."""
        try:
            chunk = os.read(fd, CHUNK_BYTES)
        except BlockingIOError:
            return True
        into += chunk
        if len(into) > self._max_output_bytes:
            raise _StoppedError(f"over {self._max_output_bytes} bytes of output")
        return bool(chunk)


def _take_turns(turns: dict[int, Callable[[], bool]], *, until: int, timeout_s: float) -> None:
    """Let whatever is ready have its turn, until that of `until` has come; one that says False has no more."""
    deadline = time.monotonic() + timeout_s
    poll = select.poll()
    for fd in turns:
        poll.register(
            fd, select.POLLIN | select.POLLOUT
        )  # each end of a pipe, and a pidfd, knows one of the two
    while until in turns:
        ready = poll.poll(max(0.0, (deadline - time.monotonic()) * 1000))
        if not ready:
            raise _StoppedError(f"not done in {timeout_s:g} s")
        for fd, _events in ready:
            if not turns[fd]():
                poll.unregister(fd)
                del turns[fd]


def _drain(read: Callable[[], bool], data: bytearray) -> None:
    """Read what is in the pipe now."""
    before = -1
    while before < len(data):
        before = len(data)
        read()


def _kill_tree(pid: int) -> None:
    """Kill the program, not yet reaped, what descends from it, and what is left in its session's first group.

    All of them are stopped first, so that none is born meanwhile.
    """
    stopped: list[int] = []
    while fresh := [one for one in (pid, *proc.descendants(pid)) if one not in stopped]:
        for one in fresh:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(one, signal.SIGSTOP)
        stopped += fresh
    for one in stopped:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(one, signal.SIGKILL)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
