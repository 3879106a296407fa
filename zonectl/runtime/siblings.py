"""The processes that make a zone's, each the next one: who they are, and the end of those for whom nobody has come."""

from __future__ import annotations

import os
import signal
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

from zonectl.errors import SyscallError, ZonectlError
from zonectl.kernel import process
from zonectl.kernel.memfd import memory_file
from zonectl.runtime.handshake import Late, close_all, failure

if TYPE_CHECKING:
    from zonectl.runtime.handshake import Channel

_PID: Final = struct.Struct("=i")
_MOST: Final = 2
"""After the first."""


class Siblings:
    """The processes that make a zone's, each the next one: a note of their pids that outlives whoever is killed.

    All are children of this process: of an init's there is one after the first, of an exec's two. The kernel itself
    writes a pid down before its process runs (CLONE_PARENT_SETTID), so that each can be waited for whatever becomes of
    the one that made it.
    """

    def __init__(self, noted: int) -> None:
        self.noted = noted
        self.first = 0
        self._taken = 0

    @classmethod
    def begin(cls) -> Self:
        """None yet.

        Raises:
            SyscallError: memfd_create.

        """
        return cls(memory_file("pids", bytes(_MOST * _PID.size)))

    def pid(self, number: int) -> int:
        """The pid of the second process (0) or of the third (1); 0 where there is none."""
        (pid,) = _PID.unpack(os.pread(self.noted, _PID.size, number * _PID.size))
        return int(pid)

    def after(self, pidfd: int, channel: Channel, *, number: int) -> tuple[int, int]:
        """See the process of `pidfd` end, which it does when it has made the next; the pid and a pidfd of that.

        Raises:
            Late: it has not ended in the channel's time, and has been killed.
            ZonectlError: what it failed with, or that it was killed before.

        """
        stuck = True
        try:
            stuck = process.wait_pidfd(pidfd, timeout_s=channel.left_s) is None
        finally:
            if stuck:
                process.kill_and_reap(pidfd)
            os.close(pidfd)
        if stuck:
            raise Late
        pid = self.pid(number)
        if not pid:
            message, fds = channel.hear()
            close_all(fds)
            killed = "zonectl-entry was killed before there was a zone's process"
            raise failure(message) if message else ZonectlError(killed)
        self._taken = number + 1
        return pid, pidfd_of(pid)

    def end(self) -> None:
        """Close the note, and end all that are still there, at whatever moment their maker was interrupted."""
        try:
            # In order: one that has ended makes no other.
            _end_if_alive(self.first)
            for number in range(_MOST):
                _end_if_alive(self.pid(number))
        finally:
            os.close(self.noted)

    def close(self) -> None:
        """Close the note, and end whom nobody has come for."""
        for number in range(self._taken, _MOST):
            if pid := self.pid(number):
                _end(pid)
        os.close(self.noted)


def pidfd_of(pid: int) -> int:
    """A pidfd of the child `pid`, which is ended where there can be none.

    Raises:
        SyscallError: pidfd_open.

    """
    try:
        return process.pidfd_open(pid)
    except SyscallError:
        _end(pid)
        raise


def _end_if_alive(pid: int) -> None:
    """End the child `pid`, unless there is none or it has ended: until it is reaped, its number is its own."""
    try:
        if not pid or os.waitpid(pid, os.WNOHANG)[0]:
            return
    except ChildProcessError:
        return
    pidfd = process.pidfd_open(pid)
    if process.pidfd_exited(pidfd):  # somebody traces it, and it has been waited for
        os.close(pidfd)
    else:
        process.end_child(pidfd)


def _end(pid: int) -> None:
    with suppress(OSError):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
