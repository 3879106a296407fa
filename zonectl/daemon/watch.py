"""The zones that zoned watches: their inits, their FIFOs, and the logger that reads those."""

from __future__ import annotations

import errno
import json
import os
import select
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zonectl.errors import SyscallError
from zonectl.kernel import process, sockets
from zonectl.kernel.process import ExitStatus

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from zonectl.daemon.handover import Adopt
    from zonectl.kernel.pump import Loop


@dataclass(slots=True, kw_only=True)
class Watched:
    """One run of a zone. `key` is its number; `parent` the worker whose child it is until that exits, 0 for none."""

    key: int
    zone: str
    pid: int
    parent: int
    pidfd: int
    fifos: tuple[int, ...]
    started_s: float
    over: bool = False


class Watch:
    """The runs of zones, from their hand-over until the logger has read their last word.

    `ended` is called with each run that has ended and how.
    """

    def __init__(self, loop: Loop, ended: Callable[[Watched, ExitStatus], None]) -> None:
        self._loop = loop
        self._ended = ended
        self._runs: dict[int, Watched] = {}
        self._last_key = 0
        self._logger: LoggerLink | None = None

    @property
    def running(self) -> int:
        """How many zones run."""
        return sum(not run.over for run in self._runs.values())

    @property
    def unread(self) -> int:
        """How many have ended whose last output the logger has not read yet."""
        return sum(run.over for run in self._runs.values())

    def add(self, message: Adopt) -> None:
        """Watch a run; one that is watched already is not taken twice, but its parent knows best when it began."""
        for run in self._runs.values():
            if run.zone == message.zone and run.pid == message.pid and not run.over:
                _close((message.pidfd, *message.fifos))
                if message.parent:
                    run.parent, run.started_s = message.parent, message.started_s
                return
        self._last_key += 1
        run = Watched(
            key=self._last_key,
            zone=message.zone,
            pid=message.pid,
            parent=message.parent,
            pidfd=message.pidfd,
            fifos=message.fifos,
            started_s=message.started_s,
        )
        self._runs[run.key] = run
        self._loop.watch(run.pidfd, select.POLLIN, lambda: self._exited(run))
        if self._logger:
            self._logger.watch(run)

    def child_ended(self, pid: int, status: ExitStatus) -> bool:
        """Take note that our child `pid` was reaped: whether it was the init of a zone."""
        for run in self._runs.values():
            if run.pid == pid and not run.over:
                self._end(run, status)
                return True
        return False

    def parent_ended(self, parent: int) -> None:
        """A worker has exited: what it has handed over is ours now, or somebody else's for good."""
        for run in list(self._runs.values()):
            if run.parent == parent and not run.over:
                run.parent = 0
                self._loop.watch(run.pidfd, select.POLLIN, lambda run=run: self._exited(run))  # type: ignore[misc]

    def connect(self, link: LoggerLink) -> None:
        """Tell a new logger all that it needs to know."""
        self._logger = link
        for run in sorted(self._runs.values(), key=lambda run: run.key):
            link.watch(run)
            if run.over:
                link.end(run.key)

    def disconnect(self) -> None:
        """The logger has gone."""
        self._logger = None

    def read(self, key: int) -> None:
        """The logger has read the last word of a run."""
        if (run := self._runs.get(key)) and run.over:
            self._drop(run)

    def drop_unread(self) -> None:
        """Wait no longer for the logger: it keeps its own descriptors."""
        for run in [run for run in self._runs.values() if run.over]:
            self._drop(run)

    def _exited(self, run: Watched) -> None:
        try:
            result = os.waitid(os.P_PIDFD, run.pidfd, os.WEXITED | os.WNOHANG)
        except ChildProcessError:
            self._not_ours(run)
            return
        if result is not None:
            self._end(run, _status(result))

    def _not_ours(self, run: Watched) -> None:
        """It has ended and is not our child: not yet, while the worker lives that made it, or never."""
        self._loop.forget(run.pidfd, select.POLLIN)
        if not run.parent or not os.path.exists(f"/proc/{run.parent}"):
            self._end(run, process.wait_pidfd(run.pidfd) or ExitStatus())

    def _end(self, run: Watched, status: ExitStatus) -> None:
        self._loop.forget(run.pidfd, select.POLLIN)
        os.close(run.pidfd)
        run.over = True
        if self._logger:
            self._logger.end(run.key)
        self._ended(run, status)
        if not run.fifos:
            self._drop(run)

    def _drop(self, run: Watched) -> None:
        del self._runs[run.key]
        _close(run.fifos)


class LoggerLink:
    """zoned's end of the pair to the logger; never waits for it, what does not go at once is kept."""

    def __init__(self, loop: Loop, sock: socket.socket, *, read: Callable[[int], None]) -> None:
        self._loop = loop
        self._sock = sock
        self._read = read
        self._waiting: list[tuple[bytes, tuple[int, ...]]] = []
        os.set_blocking(sock.fileno(), False)
        loop.watch(sock.fileno(), select.POLLIN, self._hear)

    def watch(self, run: Watched) -> None:
        """Have the logger read the run's FIFOs."""
        self._tell({"kind": "watch", "key": run.key, "zone": run.zone}, run.fifos)

    def end(self, key: int) -> None:
        """Have it read what is left of a run that has ended."""
        self._tell({"kind": "end", "key": key})

    def close(self) -> None:
        """End the conversation."""
        for event in (select.POLLIN, select.POLLOUT):
            self._loop.forget(self._sock.fileno(), event)
        self._sock.close()
        for _data, fds in self._waiting:
            _close(fds)
        self._waiting.clear()

    def _tell(self, message: dict[str, object], fds: tuple[int, ...] = ()) -> None:
        # Copies: the run may be over and its descriptors closed before the message goes.
        self._waiting.append((json.dumps(message).encode(), tuple(os.dup(fd) for fd in fds)))
        self._flush()

    def _flush(self) -> None:
        while self._waiting:
            data, fds = self._waiting[0]
            try:
                sockets.send(self._sock, data, fds)
            except SyscallError as error:
                # Otherwise the logger has gone: all is told again to the next one.
                if error.errno == errno.EAGAIN:
                    self._loop.watch(self._sock.fileno(), select.POLLOUT, self._flush)
                return
            del self._waiting[0]
            _close(fds)
        self._loop.forget(self._sock.fileno(), select.POLLOUT)

    def _hear(self) -> None:
        try:
            data, _ = sockets.receive(self._sock, 4096)
        except SyscallError:
            data = b""
        if data:
            self._read(int(json.loads(data)["closed"]))
        else:
            self._loop.forget(self._sock.fileno(), select.POLLIN)
            self._loop.forget(self._sock.fileno(), select.POLLOUT)


def _status(result: os.waitid_result) -> ExitStatus:
    if result.si_code == os.CLD_EXITED:
        return ExitStatus(status=result.si_status)
    return ExitStatus(signal=result.si_status)


def _close(fds: tuple[int, ...]) -> None:
    for fd in fds:
        with suppress(OSError):
            os.close(fd)
