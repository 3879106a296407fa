"""The cold front end: the caller of a foreground verb is this very process."""

from __future__ import annotations

import os
import select
import signal
import stat
from typing import TYPE_CHECKING

from zonectl.errors import UsageError, ZonectlError
from zonectl.kernel import process, pump
from zonectl.kernel.terminal import Session, window

if TYPE_CHECKING:
    from collections.abc import Callable

    from zonectl.kernel.process import ExitStatus

STREAMS = ("standard input", "standard output", "standard error")
DEV_NULL = os.makedev(1, 3)


def lendable(stream: int) -> int | None:
    """The caller's stream, which is no terminal, for a zone: itself, or None where the zone's /dev/null will do.

    Raises:
        UsageError: it is a directory or a device.

    """
    try:
        status = os.fstat(stream)
    except OSError:  # closed
        return None
    if stat.S_ISCHR(status.st_mode) and status.st_rdev == DEV_NULL:
        return None
    if stat.S_ISREG(status.st_mode) or stat.S_ISFIFO(status.st_mode) or stat.S_ISSOCK(status.st_mode):
        return stream
    what = "a directory" if stat.S_ISDIR(status.st_mode) else "a device"
    raise UsageError(f"{STREAMS[stream]} is {what}", hint="give a file, a pipe or /dev/null")


class Lent:
    """The three streams for a zone: the caller's own, or a pipe where the caller has a terminal."""

    def __init__(self, terminals: frozenset[int]) -> None:
        self._terminals = terminals
        self._ends: list[int] = []

    def streams(self, copied: dict[int, int]) -> tuple[int | None, int | None, int | None]:
        """Descriptors for 0, 1 and 2; the caller's end of each pipe is put into `copied`, by stream.

        Raises:
            UsageError: a stream is a directory or a device.

        """
        first, second, third = (self._stream(stream, copied) for stream in range(3))
        return first, second, third

    def close(self) -> None:
        """Close the zone's ends, which the zone has by now: only then is there an end of file."""
        for fd in self._ends:
            os.close(fd)
        self._ends.clear()

    def _stream(self, stream: int, copied: dict[int, int]) -> int | None:
        if stream not in self._terminals:
            return lendable(stream)
        reader, writer = os.pipe()
        theirs, copied[stream] = (reader, writer) if stream == 0 else (writer, reader)
        self._ends.append(theirs)
        return theirs


class LocalFrontend:
    """The caller's streams and signals, seen from the calling process (`zonectl.runtime.frontend.Frontend`)."""

    def __init__(self) -> None:
        self._terminals = frozenset(stream for stream in range(3) if os.isatty(stream))
        self._lent = Lent(self._terminals)
        self._copied: dict[int, int] = {}
        self._master: int | None = None
        self._loop = pump.Loop()
        self._session: Session | None = None
        self._deliver: Callable[[int], None] | None = None

    @property
    def interactive(self) -> bool:
        """Whether standard input and output are both terminals."""
        return {0, 1} <= self._terminals

    @property
    def window(self) -> tuple[int, int]:
        """Rows and columns of the caller's terminal; (24, 80) where it has none."""
        return window(min(self._terminals)) if self._terminals else (24, 80)

    def streams(self) -> tuple[int | None, int | None, int | None]:
        """Descriptors for the zone's 0, 1 and 2; None means the zone's own /dev/null. The front end owns them.

        Raises:
            UsageError: a stream is a directory or a device other than a terminal or /dev/null.

        """
        if self._session is None:
            # Until they are the program's, they do what Ctrl-C does.
            for number in (signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.default_int_handler)
        return self._lent.streams(self._copied)

    def keep_signals(self) -> None:
        """Keep the caller's signals for the program from now on; twice is fine."""
        self._begin()

    def attach(self, master: int) -> None:
        """Take over `master`, the host's side of a pty made in the zone; it is pumped while `wait` waits."""
        self._master = master
        self._begin()

    def wait(self, pidfd: int, deliver: Callable[[int], None]) -> ExitStatus:
        """Wait until the process of `pidfd` has ended, passing the caller's signals to `deliver`.

        What the process wrote has been copied on return. The status is unknown where the process is not a child of
        this one and the kernel cannot tell.
        """
        self._lent.close()
        self._deliver, ended = deliver, False

        def end() -> None:
            nonlocal ended
            ended = True

        session = self._begin()
        try:
            self._pump(session)
            self._loop.watch(pidfd, select.POLLIN, end)
            while not ended:
                self._loop.turn()
        finally:
            session.close()
        status = process.wait_pidfd(pidfd)
        if status is None:
            msg = "the end of the program that was waited for cannot be told"
            raise ZonectlError(msg)
        return status

    def _begin(self) -> Session:
        """Catch the caller's signals, if that has not begun: the loop's turns in `wait` hand them on."""
        if self._session is None:
            self._session = Session(self._loop, terminals=self._terminals, relay=self._relay)
        return self._session

    def _relay(self, signum: int) -> None:
        if self._deliver is not None:
            self._deliver(signum)

    def _pump(self, session: Session) -> None:
        if self._master is not None:
            session.attach(self._master)
            self._master = None
        for stream, fd in self._copied.items():
            session.pipe(stream, fd)
        self._copied.clear()
