"""The workers that wait for a client: forked before one comes, and used again while nothing sticks to them.

Each waits in accept(2), of which zoned itself does nothing. When it has a client it says so, and zoned sees to it that
another one waits. It gives the listening socket up meanwhile: a worker that outlives zoned must not keep the next one
from being started. When the client is served and the worker is as it was before (`zonectl.daemon.slate`), it asks
zoned for that socket again; zoned refuses when it leaves, when enough others wait, and when it did not fork the worker.

Dismissed by SIGUSR2, or when zoned is killed, a worker exits if it has no client, and finishes its work if it has.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import prctl

from zonectl.daemon.caller import nothing
from zonectl.daemon.offspring import fork
from zonectl.daemon.slate import Slate
from zonectl.errors import DaemonError
from zonectl.kernel import proc, sockets
from zonectl.kernel.attributes import set_pdeathsig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from zonectl.daemon.worker import Setting
    from zonectl.kernel.pump import Loop

WAITING = 3
"""How many workers wait at most, each of 9 to 14 MiB of PSS.

Commands that follow each other at once, as a script's do, go round three: one serves, one is being wiped, one waits.
"""

QUIET_S = 10.0
"""How long after the last client all but one of those who wait are sent home."""

SICKLY_S = 0.1
"""A worker that dies sooner, with no client, has a reason that the next one may have too."""

PAUSE_S = 1.0
_PID_BYTES = 8


class Pool:
    """The workers of a zoned that wait; `serve` is what one does with its client, and says whether it may go on.

    `taken` is called with the pid of a worker that has a client.
    """

    def __init__(
        self,
        listener: socket.socket,
        setting: Setting,
        *,
        serve: Callable[[socket.socket], bool],
        taken: Callable[[int], None],
    ) -> None:
        self._listener = listener
        self._setting = setting
        self._serve = serve
        self._taken = taken
        self._hired: dict[int, float] = {}
        self._engaged: set[int] = set()
        self._reader = self._writer = -1
        self._loop: Loop | None = None
        self._taken_at = 0.0
        self._trimming = False

    @property
    def waiting(self) -> int:
        """How many wait for a client."""
        return len(self._hired)

    def watch(self, loop: Loop) -> None:
        """Hear from workers by way of `loop`."""
        self._loop = loop
        os.set_blocking(self._listener.fileno(), True)
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        loop.watch(self._reader, select.POLLIN, self.hear)

    def hire(self) -> None:
        """Fork a worker."""
        zoned = os.getpid()
        keep = (self._listener.fileno(), self._writer, self._setting.channel.fileno())
        attendant = Attendant(self._listener, self._writer, self._setting, serve=self._serve)
        pid = fork(lambda: attendant.attend(zoned), keep=keep)
        self._hired[pid] = time.monotonic()

    def dismiss(self, *, but: int = 0) -> None:
        """Have those who wait exit, `but` so many; one that gets a client at this very moment says so instead."""
        # Who has waited longest is the next to be woken (accept(2) queues), and stays.
        for pid in list(self._hired)[but:]:
            os.kill(pid, signal.SIGUSR2)

    def hear(self) -> None:
        """Take note of clients that workers have."""
        try:
            said = os.read(self._reader, 64 * _PID_BYTES)
        except BlockingIOError:
            return
        for first in range(0, len(said), _PID_BYTES):
            pid = int(said[first : first + _PID_BYTES])
            if self._hired.pop(pid, None) is not None:
                self._engaged.add(pid)
                self._taken_at = time.monotonic()
                self._taken(pid)

    def take_back(self, pid: int) -> socket.socket | None:
        """Let a worker that has served its client wait for another: the socket to lend it, or None for it to exit."""
        # What it asks may overtake what it has said.
        self.hear()
        if pid not in self._engaged or len(self._hired) >= WAITING:
            return None
        self._engaged.remove(pid)
        self._hired[pid] = time.monotonic() - SICKLY_S
        self._trim_later()
        return self._listener

    def _trim_later(self) -> None:
        if self._loop and not self._trimming and len(self._hired) > 1:
            self._trimming = True
            self._loop.later(max(0.0, self._taken_at + QUIET_S - time.monotonic()), self._trim)

    def _trim(self) -> None:
        self._trimming = False
        if time.monotonic() < self._taken_at + QUIET_S:
            self._trim_later()
        else:
            self.dismiss(but=1)

    def mourn(self, pid: int) -> float | None:
        """A child has ended: in how many seconds to hire another in its place; None if it did not wait."""
        self._engaged.discard(pid)
        hired_at = self._hired.pop(pid, None)
        if hired_at is None:
            return None
        return PAUSE_S if time.monotonic() - hired_at < SICKLY_S else 0.0


class Attendant:
    """A worker's own life: it waits, serves, and waits again while it may."""

    def __init__(
        self,
        listener: socket.socket,
        writer: int,
        setting: Setting,
        *,
        serve: Callable[[socket.socket], bool],
    ) -> None:
        self._listener = listener
        self._writer = writer
        self._setting = setting
        self._serve = serve

    def attend(self, zoned: int) -> int:
        """Wait for clients of our own user, and serve them; returns when zoned wants no more of us."""
        prctl.set_name("zoned worker")
        # Not a handler of Python's: a signal that comes just before accept(2) waits would go unnoticed in there.
        signal.signal(signal.SIGUSR2, signal.SIG_DFL)
        set_pdeathsig(signal.SIGUSR2)
        if os.getppid() != zoned:
            return 0
        self._rehearse(self._setting.jobs.rehearsal())
        slate = Slate(self._setting, without=self._listener.fileno())
        while self._serve_one(slate, zoned):
            pass
        return 0

    def _serve_one(self, slate: Slate, zoned: int) -> bool:
        """Serve the next client; whether to serve another."""
        sock = self._client()
        # A dismissal until here ends the connection before the welcome, and the client tries again.
        signal.signal(signal.SIGUSR2, nothing)
        set_pdeathsig(0)
        if not proc.has_memory(zoned) or os.getppid() != zoned:
            # It was killed, and is ending: who is served tries again, and brings the next one up, as zones may need.
            sock.close()
            return False
        self._tell()
        with sock:
            ordinary = self._serve(sock)
        signal.signal(signal.SIGUSR2, signal.SIG_DFL)
        if not ordinary or not slate.wipe():
            return False
        # Before the question: if zoned ends behind it, we hear of that.
        set_pdeathsig(signal.SIGUSR2)
        return self._ask_for_more()

    def _rehearse(self, parts: Iterable[Callable[[], object]]) -> None:
        """Write to the pages that a command will write to, until there is a client."""
        for part in parts:
            if _readable(self._listener):
                return
            with suppress(Exception):  # the command will say what is wrong
                part()

    def _client(self) -> socket.socket:
        while True:
            sock, _address = self._listener.accept()
            _pid, uid, _gid = sockets.peer_credentials(sock)
            if uid == os.geteuid():
                return sock
            sock.close()

    def _tell(self) -> None:
        with suppress(OSError):  # zoned was killed just now
            os.write(self._writer, b"%*d" % (_PID_BYTES, os.getpid()))
        self._listener.close()

    def _ask_for_more(self) -> bool:
        try:
            fd = self._setting.channel.again()
        except DaemonError:
            return False
        self._listener = socket.socket(fileno=fd)
        return True


def _readable(sock: socket.socket) -> bool:
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
