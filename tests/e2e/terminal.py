"""A command in a terminal of its own, as a person would use it."""

from __future__ import annotations

import os
import pty
import select
import signal
import termios
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

_PATIENCE_S = 60.0


class Terminal:
    """A pty whose other side is the controlling terminal of the command. End it with `close` (or `with`)."""

    def __init__(
        self, words: Sequence[str], environment: dict[str, str], *, size: tuple[int, int] = (24, 80)
    ) -> None:
        self.seen = b""
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            with suppress(BaseException):
                termios.tcsetwinsize(0, size)
                os.execve(words[0], list(words), environment)
            os._exit(99)
        self._ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def type(self, text: str) -> None:
        """Type it."""
        os.write(self._master, text.encode())

    def expect(self, text: str) -> str:
        """Read until `text` has been seen; what came before it."""
        wanted, deadline = text.encode(), time.monotonic() + _PATIENCE_S
        while wanted not in self.seen:
            assert self._read(deadline - time.monotonic()), f"{text!r} does not come after {self.seen!r}"
        before, _, self.seen = self.seen.partition(wanted)
        return before.decode(errors="replace")

    def rest(self) -> str:
        """All that comes until the end."""
        while self._read(_PATIENCE_S):
            pass
        return self.seen.decode(errors="replace")

    def resize(self, rows: int, columns: int) -> None:
        """Drag the window's corner."""
        termios.tcsetwinsize(self._master, (rows, columns))

    def attributes(self) -> list[object]:
        """The terminal's settings."""
        return termios.tcgetattr(self._master)

    def wait(self) -> int:
        """The exit status, negative for a signal."""
        deadline = time.monotonic() + _PATIENCE_S
        while (found := os.waitpid(self.pid, os.WNOHANG))[0] == 0:
            assert time.monotonic() < deadline, f"it does not end; last words: {self.seen!r}"
            self._read(0.02)
        self._ended = True
        return os.waitstatus_to_exitcode(found[1])

    def close(self) -> None:
        """Hang up; what has not ended is killed."""
        if not self._ended:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self._ended = True
        os.close(self._master)

    def _read(self, timeout_s: float) -> bool:
        if not select.select([self._master], [], [], max(0.0, timeout_s))[0]:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:  # EIO: nobody has the other side open any more
            time.sleep(0.01)
            return False
        self.seen += data
        return bool(data)
