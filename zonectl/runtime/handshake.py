"""What a worker and the init that it makes say to each other.

    worker                                      zonectl-entry
      posix_spawn ────────────────────────────▶ closes all that it does not need, clones init, exits
      id maps                                   init: keyring
      IDS ────────────────────────────────────▶ its ids
      SCRIPT (all that follows until READY) ──▶ clocks, the scaffold of its mounts, host name
      trees
      TREES (descriptors, in batches) ────────▶ mounts
      veth
      LINKS ──────────────────────────────────▶ network, root
      devices, rank
                       ◀──────────────────────── READY (with its root, and the master of its pty if one is wanted)
      looks up the user
      ORDER (what it becomes) ────────────────▶ restrictions, filter
      live.json
      EXEC ───────────────────────────────────▶ execve (and here the filter, if it would not let the word be heard)
                       ◀──────────────────────── end of file: executed; or FAILED

A parked init (`zonectl ready`) hears its ORDER, and PARKED once live.json is there, and then waits on the zone's own
socket for whoever connects and says EXEC; its restrictions come then.
If the worker goes, init sees the end of its channel and exits: nothing is left half made.
Messages are JSON objects in packets of a SOCK_SEQPACKET pair (unix(7)); native/conversation.c words them alike.
"""

from __future__ import annotations

import errno
import json
import os
import select
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from zonectl.errors import HostLacks, ProgramError, StepError, SyscallError, ZonectlError
from zonectl.kernel import sockets
from zonectl.planning.protections import remedy

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

MAX_MESSAGE_BYTES = 1 << 16
MAX_TEXT = 4096
BATCH = 64
"""Descriptors in one packet: the kernel takes at most 253 (SCM_MAX_FD)."""


class Late(ZonectlError):
    """The other side takes too long."""

    def __init__(self) -> None:
        super().__init__("a process of the zone does not answer")


class Channel:
    """One end of the conversation. It owns its socket."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._until_s: float | None = None

    @staticmethod
    def pair() -> tuple[Channel, Channel]:
        """Two ends that talk to each other."""
        ours, theirs = sockets.pair()
        return Channel(ours), Channel(theirs)

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._end.fileno()

    def close(self) -> None:
        """Close the socket: the other side sees the end."""
        self._end.close()

    def hurry(self, seconds: float) -> None:
        """Let whatever is waited for from now on take `seconds` together, by the monotonic clock."""
        self._until_s = time.monotonic() + seconds

    @property
    def left_s(self) -> float | None:
        """How long may still be waited; None for ever."""
        return None if self._until_s is None else max(0.0, self._until_s - time.monotonic())

    def say(self, word: str, fds: Sequence[int] = (), **details: int) -> None:
        """Send the message `word`, with what else it says.

        Raises:
            ZonectlError: the other side has gone.

        """
        self._send({"word": word, **details}, fds)

    def bid(self, word: str) -> None:
        """Send `word` to a side that may have failed meanwhile.

        Raises:
            ZonectlError: what the other side has failed with, or that it has gone.

        """
        try:
            self.say(word)
        except ZonectlError as error:
            cause = self.overhear()
            if cause is None:
                raise
            raise cause from error

    def fail(self, error: Exception, step: str) -> None:
        """Say that `step` has failed with `error`, if anybody still listens."""
        with suppress(ZonectlError):
            self._send({"word": "FAILED", **describe(error, step)}, ())

    def _send(self, message: dict[str, object], fds: Sequence[int]) -> None:
        try:
            sockets.send(self._end, json.dumps(message).encode(), fds)
        except (SyscallError, OSError) as error:
            msg = "the other side of the start has gone"
            raise ZonectlError(msg) from error

    def send_trees(self, fds: Sequence[int]) -> None:
        """Send the descriptors of the trees, in slot order; there is a message even if there are none."""
        for first in range(0, max(1, len(fds)), BATCH):
            self.say("TREES", fds[first : first + BATCH])

    def hear(self) -> tuple[dict[str, object], list[int]]:
        """The next message and its descriptors, which the caller owns; `{}` at the end of the conversation.

        Raises:
            Late: it does not come in time.

        """
        if self._until_s is not None and not select.select([self._end], [], [], self.left_s)[0]:
            raise Late
        try:
            data, fds = sockets.receive(self._end, MAX_MESSAGE_BYTES, BATCH)
        except SyscallError as error:
            if error.errno != errno.ECONNRESET:
                raise
            # The other side has ended with something unread; the kernel says so first, once, and then what it had sent.
            data, fds = sockets.receive(self._end, MAX_MESSAGE_BYTES, BATCH)
        return (json.loads(data) if data else {}), fds

    def overhear(self) -> ZonectlError | None:
        """What the other side has said that it failed with, if it has; does not wait."""
        while select.select([self._end], [], [], 0)[0]:
            message, fds = self.hear()
            close_all(fds)
            if not message:
                return None
            if message.get("word") == "FAILED":
                return failure(message)
        return None

    def expect(self, word: str) -> list[int]:
        """Wait for `word`; returns the descriptors that came with it, which the caller owns.

        Raises:
            ZonectlError: what the other side failed with, or that it ended.

        """
        message, fds = self.hear()
        if message.get("word") == word:
            return fds
        close_all(fds)
        raise failure(message)

    def expect_end(self) -> None:
        """Wait for the end of the conversation, which is init's successful execve.

        Raises:
            ZonectlError: what it failed with.

        """
        message, fds = self.hear()
        close_all(fds)
        if message:
            raise failure(message)


def describe(error: Exception, step: str) -> dict[str, object]:
    """What a failure in init says to the worker."""
    details: dict[str, object] = {
        "kind": type(error).__name__,
        "step": step,
        "message": str(error)[:MAX_TEXT],
    }
    if isinstance(error, OSError):
        details |= {"message": error.strerror or str(error), "errno": error.errno}
    if isinstance(error, ZonectlError):
        details |= {"message": error.message, "hint": error.hint or remedy_of(error)}
    if isinstance(error, ProgramError):
        details |= {"program": error.program, "errno": error.errno}
    if isinstance(error, SyscallError):
        details |= {"call": error.call, "errno": error.errno, "subject": error.subject}
    return details


def remedy_of(error: ZonectlError) -> str | None:
    """Which key of the zone file would waive what has failed, if one would; none helps against too many processes."""
    if not isinstance(error, SyscallError) or error.errno == errno.EAGAIN:
        return None
    return remedy(error.call, error.subject)


def failure(message: dict[str, object]) -> ZonectlError:
    """The exception that a message of failure means; `{}` is an end without a word."""
    if message.get("word") != "FAILED":
        return ZonectlError("init ended before it was ready")
    cause = _cause(message)
    text, hint = _text(message, "message"), message.get("hint")
    if isinstance(cause, SyscallError):
        text, hint = text or cause.message, hint or remedy_of(cause)
    match message.get("kind"):
        case "ProgramError":
            return ProgramError(_text(message, "program"), int(str(message.get("errno"))))
        case "HostLacks":
            return HostLacks(text, hint=str(hint) if hint else None)
        case _:
            step = _text(message, "step")
            failed = StepError(text, step=step, hint=str(hint) if hint else None)
            failed.__cause__ = cause
            return failed


def _text(message: dict[str, object], key: str) -> str:
    """A text of a message: zonectl-entry says bytes that are not ASCII one by one, as os.fsdecode would."""
    return os.fsdecode(os.fsencode(str(message.get(key, ""))))


def _cause(message: dict[str, object]) -> Exception | None:
    """What failed on the other side, with its errno, where a call of the kernel's did."""
    number = message.get("errno")
    if not isinstance(number, int):
        return None
    if message.get("kind") == "SyscallError":
        detail = _text(message, "detail")
        return SyscallError(_text(message, "call"), number, _text(message, "subject"), detail=detail)
    return OSError(number, str(message.get("message")))


def close_all(fds: Sequence[int]) -> None:
    """Close descriptors that came with a message nobody wants."""
    for fd in fds:
        os.close(fd)
