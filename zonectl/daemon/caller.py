"""The worker's side of the conversation with its client, and the client as the verbs see it."""

from __future__ import annotations

import fcntl
import io
import os
import select
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from zonectl.cli.local import Lent
from zonectl.daemon import protocol, verbs
from zonectl.errors import ZonectlError
from zonectl.kernel import process

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from zonectl.daemon.protocol import Frame, Hello
    from zonectl.kernel.process import ExitStatus

_KICK_S = 1.0
"""How long a signal may go unnoticed that came just before a system call which waits; PEP 475 says why it can."""

_INTERRUPTING = frozenset((signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT))


def nothing(_signum: int, _frame: object) -> None:
    """Handle a signal that is for nobody: one that comes late, or that is only to interrupt a system call."""


class Caller:
    """The conversation after the welcome.

    While a verb runs, the kernel tells of the client's signals by SIGIO (F_SETOWN, fcntl(2)), so that one thread is
    enough: INT, TERM, HUP and QUIT become a KeyboardInterrupt, as Ctrl-C does in a command of one's own.
    `interrupted` is the signal that did. One that arrives after the interpreter has looked for signals and before it
    waits in the kernel interrupts nothing, so a timer kicks the interpreter now and then.
    """

    def __init__(self, sock: socket.socket, verb: str) -> None:
        self._sock = sock
        self._verb = verb
        self._listening = False
        self.interrupted: int | None = None
        self.gone = False
        self._missed: list[int] = []

    def listen(self) -> None:
        """Let the client's signals interrupt from now on."""
        signal.signal(signal.SIGIO, self._on_sigio)
        signal.signal(signal.SIGALRM, nothing)
        # Sleeping and polling end by it all the same; what changes something is never broken off (signal(7)).
        signal.siginterrupt(signal.SIGALRM, False)  # noqa: FBT003 - positional in signal
        fcntl.fcntl(self._sock, fcntl.F_SETOWN, os.getpid())
        self._asynchronous(on=True)

    def hush(self) -> None:
        """Let nothing interrupt any more."""
        self._asynchronous(on=False)

    @contextmanager
    def synchronous(self) -> Iterator[None]:
        """Within, frames come by `receive` alone."""
        self._asynchronous(on=False)
        try:
            yield
        finally:
            self._asynchronous(on=True)

    def send(self, kind: bytes, body: bytes = b"", *, descriptors: tuple[int, ...] = ()) -> None:
        """Send a frame; in vain, if the client has gone."""
        try:
            protocol.send(self._sock, kind, body, descriptors=descriptors)
        except OSError:
            self.gone = True

    def receive(self) -> Frame | None:
        """The next frame; None when the client has gone."""
        frame = None if self.gone else protocol.receive(self._sock)
        self.gone = frame is None
        return frame

    def fileno(self) -> int:
        """The descriptor to poll."""
        return self._sock.fileno()

    def answer(self, kind: bytes) -> bytes | None:
        """Wait for the client's frame of this kind; None when it has gone meanwhile."""
        while (frame := self.receive()) is not None:
            if frame.kind == kind:
                return frame.body
            self._interrupt(frame)
        return None

    def _asynchronous(self, *, on: bool) -> None:
        self._listening = on
        flags = fcntl.fcntl(self._sock, fcntl.F_GETFL)
        fcntl.fcntl(self._sock, fcntl.F_SETFL, flags | os.O_ASYNC if on else flags & ~os.O_ASYNC)
        signal.setitimer(signal.ITIMER_REAL, _KICK_S if on else 0, _KICK_S)
        if on:
            # What has come while it was off raised no SIGIO.
            self._hear()

    def _on_sigio(self, _signum: int, _frame: object) -> None:
        self._hear()

    def _hear(self) -> None:
        while self._listening and not self.gone and self._readable():
            frame = self.receive()
            if frame is not None:
                self._interrupt(frame)
            elif self._verb in verbs.READING | verbs.FOREGROUND:
                self.interrupted = signal.SIGPIPE
                raise KeyboardInterrupt

    def take_missed(self) -> list[int]:
        """The signals that came for a program that was not there yet, and interrupt nothing."""
        missed, self._missed = self._missed, []
        return missed

    def _interrupt(self, frame: Frame) -> None:
        if frame.kind != protocol.SIGNAL:
            return
        number = int(frame.body)
        if number not in _INTERRUPTING:
            self._missed.append(number)
            return
        self.interrupted = number
        raise KeyboardInterrupt

    def _readable(self) -> bool:
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        return bool(poll.poll(0))


class WarmFrontend:
    """The client as the verbs see it (`zonectl.runtime.frontend.Frontend`)."""

    def __init__(self, caller: Caller, hello: Hello) -> None:
        self._caller = caller
        self._hello = hello
        self._lent = Lent(hello.terminals)
        self._attached = False

    @property
    def interactive(self) -> bool:
        """Whether standard input and output are both terminals."""
        return {0, 1} <= self._hello.terminals

    @property
    def window(self) -> tuple[int, int]:
        """Rows and columns of the caller's terminal; (24, 80) where it has none."""
        return self._hello.window

    def streams(self) -> tuple[int | None, int | None, int | None]:
        """Descriptors for the zone's 0, 1 and 2; None means the zone's own /dev/null. The front end owns them.

        Raises:
            UsageError: a stream is a directory or a device other than a terminal or /dev/null.

        """
        copied: dict[int, int] = {}
        try:
            streams = self._lent.streams(copied)
            if copied:
                digits = b"".join(b"%d" % stream for stream in copied)
                self._caller.send(protocol.PIPES, digits, descriptors=tuple(copied.values()))
                self._attached = True
        finally:
            for fd in copied.values():
                os.close(fd)
        return streams

    def keep_signals(self) -> None:
        """Keep the caller's signals for the program from now on; twice is fine."""
        self._caller.hush()

    def attach(self, master: int) -> None:
        """Send `master`, the host's side of a pty made in the zone, to the client, which pumps it."""
        self._caller.send(protocol.MASTER, descriptors=(master,))
        self._attached = True
        os.close(master)
        self.keep_signals()

    def wait(self, pidfd: int, deliver: Callable[[int], None]) -> ExitStatus:
        """Wait until the process of `pidfd` has ended, passing the caller's signals to `deliver`.

        When the client goes away, SIGKILL is delivered. What the process wrote has been copied on return. The status is
        unknown where the process is not a child of this one and the kernel cannot tell.
        """
        self._lent.close()
        # For good: nothing is to break off what comes after the program.
        self._caller.hush()
        for number in self._caller.take_missed():
            deliver(number)
        self._relay_until(pidfd, deliver)
        if self._attached:
            self._caller.send(protocol.DRAIN)
            self._drained()
        status = process.wait_pidfd(pidfd)
        if status is None:
            msg = "the end of the program that was waited for cannot be told"
            raise ZonectlError(msg)
        return status

    def _relay_until(self, pidfd: int, deliver: Callable[[int], None]) -> None:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        if self._caller.gone:
            deliver(signal.SIGKILL)
        else:
            poll.register(self._caller.fileno(), select.POLLIN)
        while pidfd not in (ready := {fd for fd, _ in poll.poll()}):
            if self._caller.fileno() in ready and not self._relay(deliver):
                poll.unregister(self._caller.fileno())

    def _relay(self, deliver: Callable[[int], None]) -> bool:
        frame = self._caller.receive()
        if frame is None:
            deliver(signal.SIGKILL)
        elif frame.kind == protocol.SIGNAL:
            deliver(int(frame.body))
        return frame is not None

    def _drained(self) -> None:
        # Signals that come now are for a process that has ended.
        while (frame := self._caller.receive()) is not None and frame.kind != protocol.DRAIN:
            pass


class AskingInput(io.TextIOBase):
    """Standard input of a worker whose client has a terminal: nobody but the client reads that, a line when asked."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def isatty(self) -> bool:
        """It stands for a terminal."""
        return True

    def readable(self) -> bool:
        """It can be read."""
        return True

    def fileno(self) -> int:
        """Descriptor 0, which is /dev/null."""
        return 0

    def readline(self, _size: int = -1, /) -> str:  # type: ignore[override]
        """The next line that the user types; empty at the end, or when the client has gone."""
        with self._caller.synchronous():
            self._caller.send(protocol.ASK)
            return (self._caller.answer(protocol.ANSWER) or b"").decode(errors="surrogateescape")

    def read(self, _size: int | None = -1, /) -> str:
        """All lines until the end."""
        lines = []
        while line := self.readline():
            lines.append(line)
        return "".join(lines)
