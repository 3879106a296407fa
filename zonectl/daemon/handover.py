"""What zoned's children tell it: a zone to watch or to be started again, a client of another version, a client served.

One SEQPACKET pair for all of them: each message arrives whole (unix(7)), and its sender waits for the answer on a
socket of its own that travels with it. The pair outlives zoned's exec of a new version, so a worker of the old code
may well hand its zone to the new: fields that are not known are passed over.
"""

from __future__ import annotations

import json
import os
import socket
import stat
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zonectl.errors import DaemonError, SyscallError
from zonectl.kernel import proc, sockets
from zonectl.store import restarts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zonectl.store.paths import Paths

MAX_MESSAGE_BYTES = 64 << 10
_MAX_DESCRIPTORS = 4
_ANSWER_TIMEOUT_S = 30.0
_OK = b"ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopt:
    """Watch the running init `pid`; `fifos` are those of its output and error, or none. Whoever takes it owns them.

    `parent` is the worker whose child it is until that exits; 0 where it is none's.
    """

    zone: str
    pid: int
    parent: int
    started_s: float
    pidfd: int
    fifos: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StartAgain:
    """Start the zone after `delay_s`."""

    zone: str
    delay_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outdated:
    """A client of another version is there; `program` starts its zoned."""

    program: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """The worker `sender` has served its client and could serve another, for which it needs the listening socket."""

    sender: int


Message = Adopt | StartAgain | Outdated | Again


class Channel:
    """The children's end of the pair."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def fileno(self) -> int:
        """The descriptor that a child must keep."""
        return self._sock.fileno()

    def adopt(
        self, zone: str, *, pid: int, started_s: float, descriptors: Sequence[int], is_parent: bool = True
    ) -> None:
        """Hand over the running init `pid`, a child of the caller if `is_parent`: its pidfd, and its FIFOs.

        Raises:
            DaemonError: zoned does not take it.

        """
        message = {"kind": "adopt", "zone": zone, "pid": pid, "started_s": started_s, "is_parent": is_parent}
        self._tell(message, descriptors)

    def start_again(self, zone: str, *, delay_s: float) -> None:
        """Have the zone started after `delay_s`.

        Raises:
            DaemonError: zoned is gone.

        """
        self._tell({"kind": "start-again", "zone": zone, "delay_s": delay_s})

    def outdated(self, program: Sequence[str]) -> None:
        """Have zoned become what `program` starts.

        Raises:
            DaemonError: zoned is gone.

        """
        self._tell({"kind": "outdated", "program": list(program)})

    def again(self) -> int:
        """Say that this worker could serve another client; the listening socket, which the caller owns.

        Raises:
            DaemonError: zoned does not want it to, or is gone.

        """
        lent = self._tell({"kind": "again"})
        if not lent:
            raise DaemonError("zoned lends nothing")
        return lent[0]

    def _tell(self, message: dict[str, object], descriptors: Sequence[int] = ()) -> list[int]:
        """Send the message and wait for the answer: the descriptors that came with it."""
        data = json.dumps({"sender": os.getpid(), **message}).encode()
        mine, theirs = sockets.pair()
        with mine, theirs:
            try:
                sockets.send(self._sock, data, [theirs.fileno(), *descriptors])
                theirs.close()
                mine.settimeout(_ANSWER_TIMEOUT_S)
                answer, lent = sockets.receive(mine, MAX_MESSAGE_BYTES, 1)
            except (SyscallError, OSError) as error:
                raise DaemonError(f"zoned cannot be reached: {error}") from error
        if answer != _OK:
            raise DaemonError(f"zoned refuses: {answer.decode(errors='replace') or 'it has gone'}")
        return lent


class ZonedWarden:
    """Hands started zones to zoned (`zonectl.runtime.frontend.Warden`).

    A user's start begins the count of failures anew; `again` is zoned's own start, which goes on counting.
    """

    def __init__(self, channel: Channel, paths: Paths, *, again: bool = False) -> None:
        self._channel = channel
        self._paths = paths
        self._again = again

    def adopt(self, *, zone: str, pid: int, pidfd: int) -> None:
        """Take over the running init `pid` of `zone`, as a child once this process has exited.

        Raises:
            DaemonError: zoned cannot be reached; the caller must end the zone again.

        """
        before = restarts.load(self._paths, zone)
        failures = before.failures if before and self._again else 0
        started_s = time.monotonic()
        note = restarts.Note(boot_id=proc.boot_id(), failures=failures, started_s=started_s)
        restarts.save(self._paths, zone, note)
        hand_over(self._channel, self._paths, zone, pid=pid, pidfd=pidfd, started_s=started_s)


def hand_over(
    channel: Channel,
    paths: Paths,
    zone: str,
    *,
    pid: int,
    pidfd: int,
    started_s: float,
    is_parent: bool = True,
) -> None:
    """Give zoned a running init and the FIFOs that stand in its volatile folder.

    Raises:
        DaemonError: zoned does not take it.

    """
    fifos = open_fifos(paths.run_zone_dir(zone))
    try:
        descriptors = (pidfd, *fifos)
        channel.adopt(zone, pid=pid, started_s=started_s, descriptors=descriptors, is_parent=is_parent)
    finally:
        for fd in fifos:
            os.close(fd)


def open_fifos(folder: str) -> tuple[int, ...]:
    """The FIFOs `out` and `err` of a zone, open for reading and writing, so that what is in them stays; or none.

    The caller owns them.
    """
    found: list[int] = []
    for name in ("out", "err"):
        with suppress(FileNotFoundError):
            fd = os.open(f"{folder}/{name}", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
            found.append(fd)
            if not stat.S_ISFIFO(os.fstat(fd).st_mode):
                break
    if len(found) == 2 and all(stat.S_ISFIFO(os.fstat(fd).st_mode) for fd in found):  # noqa: PLR2004 - out and err
        return tuple(found)
    for fd in found:
        os.close(fd)
    return ()


@dataclass(frozen=True, slots=True)
class Received:
    """A message and the socket that its sender waits at; answering it closes it."""

    message: Message
    answer: socket.socket

    def accept(self) -> None:
        """Tell the sender that it is done."""
        with self.answer, suppress(OSError):
            self.answer.send(_OK, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)

    def lend(self, sock: socket.socket) -> None:
        """Tell the sender that it is done, and give it a descriptor of `sock`."""
        with self.answer, suppress(SyscallError):
            sockets.send(self.answer, _OK, [sock.fileno()])

    def refuse(self) -> None:
        """Tell the sender no."""
        self.answer.close()


def receive(sock: socket.socket) -> Received | None:
    """The next message at zoned's end; None if it was none that can be understood."""
    try:
        data, descriptors = sockets.receive(sock, MAX_MESSAGE_BYTES, _MAX_DESCRIPTORS)
    except SyscallError:
        return None
    try:
        message = _message(json.loads(data), descriptors[1:])
        answer = socket.socket(fileno=descriptors[0])
    except (ValueError, KeyError, TypeError, IndexError, OSError):
        for fd in descriptors:
            os.close(fd)
        return None
    return Received(message, answer)


def _message(fields: dict[str, object], descriptors: Sequence[int]) -> Message:
    match fields["kind"]:
        case "adopt":
            pidfd, *fifos = descriptors
            return Adopt(
                zone=str(fields["zone"]),
                pid=_integer(fields["pid"]),
                parent=_integer(fields["sender"]) if fields["is_parent"] else 0,
                started_s=_number(fields["started_s"]),
                pidfd=pidfd,
                fifos=tuple(fifos),
            )
        case "start-again":
            return StartAgain(zone=str(fields["zone"]), delay_s=_number(fields["delay_s"]))
        case "again":
            return Again(sender=_integer(fields["sender"]))
        case "outdated":
            program = fields["program"]
            if isinstance(program, list) and program:
                return Outdated(program=tuple(str(word) for word in program))
    raise ValueError("no message")


def _integer(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError("not an integer")
    return value


def _number(value: object) -> float:
    if not isinstance(value, int | float):
        raise TypeError("not a number")
    return float(value)
