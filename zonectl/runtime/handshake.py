"""What a worker and the init that it makes say to each other.

    worker                                      init
      clone3 ─────────────────────────────────▶ closes all that it does not need, waits
      id maps, trees
      TREES (descriptors, in batches) ────────▶ mounts, host name
      veth
      LINKS ──────────────────────────────────▶ network, root
                       ◀──────────────────────── READY (with the master of its pty, if one is wanted)
      live.json                                 restrictions
      EXEC ───────────────────────────────────▶ filter, execve
                       ◀──────────────────────── end of file: executed; or FAILED

A parked init (`zonectl ready`) says READY and then waits on the zone's own socket for whoever connects and says EXEC;
its restrictions come then.
If the worker goes, init sees the end of its channel and exits: nothing is left half made.
Messages are JSON objects in packets of a SOCK_SEQPACKET pair (unix(7)).
"""

from __future__ import annotations

import errno
import json
import os
import select
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


class Channel:
    """One end of the conversation. It owns its socket."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

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
        """The next message and its descriptors, which the caller owns; `{}` at the end of the conversation."""
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
    """Which key of the zone file would waive what has failed, if one would."""
    return remedy(error.call, error.subject) if isinstance(error, SyscallError) else None


def failure(message: dict[str, object]) -> ZonectlError:
    """The exception that a message of failure means; `{}` is an end without a word."""
    if message.get("word") != "FAILED":
        return ZonectlError("init ended before it was ready")
    text, hint = str(message.get("message")), message.get("hint")
    match message.get("kind"):
        case "ProgramError":
            return ProgramError(str(message.get("program")), int(str(message.get("errno"))))
        case "HostLacks":
            return HostLacks(text, hint=str(hint) if hint else None)
        case _:
            step = str(message.get("step"))
            failed = StepError(text, step=step, hint=str(hint) if hint else None)
            failed.__cause__ = _cause(message)
            return failed


def _cause(message: dict[str, object]) -> Exception | None:
    """What failed on the other side, with its errno, where a call of the kernel's did."""
    number = message.get("errno")
    if not isinstance(number, int):
        return None
    if message.get("kind") == "SyscallError":
        return SyscallError(str(message.get("call")), number, str(message.get("subject")))
    return OSError(number, str(message.get("message")))


def close_all(fds: Sequence[int]) -> None:
    """Close descriptors that came with a message nobody wants."""
    for fd in fds:
        os.close(fd)
