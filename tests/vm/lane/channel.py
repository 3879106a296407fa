"""The byte channels that come from the guest: the console, and the command's output with its end mark."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import socket

CHUNK_BYTES: Final = 1 << 18
STATUS_DIGITS: Final = 3
TAIL_BYTES: Final = 10_000
UP: Final = b"lane: up"


class Channel(Protocol):
    """One connection with the guest."""

    def fileno(self) -> int:
        """The descriptor of the host's end."""

    def pump(self) -> bool:
        """Take what has come; False when nothing will come any more."""


class EndMark:
    """Finds the end of a stream: a byte 1, a token, the exit status as three digits.

    The mark may come in pieces, so what could be the beginning of one is held back until more has come.
    """

    def __init__(self, token: str) -> None:
        self._start = b"\x01" + token.encode()
        self._held = b""
        self.status: int | None = None

    def feed(self, data: bytes) -> bytes:
        """What has become certain to be the command's; sets status when the mark is complete."""
        stream = self._held + data
        start = self._find(stream)
        digits = stream[start + len(self._start) :][:STATUS_DIGITS]
        if len(digits) == STATUS_DIGITS:
            self.status = int(digits)
        self._held = stream[start:]
        return stream[:start]

    def _find(self, stream: bytes) -> int:
        """Where the mark starts, or the longest piece of one at the end; else the stream's length."""
        found = stream.find(self._start)
        if found >= 0:
            return found
        longest = min(len(stream), len(self._start) - 1)
        pieces = (size for size in range(longest, 0, -1) if stream.endswith(self._start[:size]))
        return len(stream) - next(pieces, 0)


class Output:
    """A stream of the command, copied to one of our own descriptors."""

    def __init__(self, connection: socket.socket, fd: int, token: str) -> None:
        self._connection = connection
        self._fd = fd
        self._mark = EndMark(token)

    def fileno(self) -> int:
        """The descriptor of the host's end."""
        return self._connection.fileno()

    @property
    def status(self) -> int | None:
        """The command's exit status, once the stream has ended."""
        return self._mark.status

    def pump(self) -> bool:
        """Copy what has come; False at the end mark, or when the guest has gone."""
        data = self._connection.recv(CHUNK_BYTES)
        _write(self._fd, self._mark.feed(data))
        return bool(data) and self.status is None


class Console:
    """The kernel's and the stages' messages; shown when asked for, or when something went wrong."""

    def __init__(self, connection: socket.socket, show_fd: int | None) -> None:
        self._connection = connection
        self._show_fd = show_fd
        self._tail = b""
        self.is_up = False

    def fileno(self) -> int:
        """The descriptor of the host's end."""
        return self._connection.fileno()

    @property
    def tail(self) -> str:
        """The last that was said."""
        return self._tail.decode(errors="replace").strip()

    def pump(self) -> bool:
        """Keep what has come; False when the machine has gone."""
        data = self._connection.recv(CHUNK_BYTES)
        self._tail = (self._tail + data)[-TAIL_BYTES:]
        self.is_up = self.is_up or UP in self._tail
        if self._show_fd is not None:
            _write(self._show_fd, data)
        return bool(data)


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
