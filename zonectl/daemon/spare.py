"""The spare worker: forked before a client comes, so that no client waits for the fork and the pages it copies.

It waits in accept(2), of which zoned itself does nothing. When it has a client it says so, and zoned forks the next
spare. Dismissed by SIGUSR2, or when zoned is killed, it exits if it has no client, and finishes its work if it has.
"""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from zonectl.daemon.offspring import fork
from zonectl.kernel import sockets
from zonectl.kernel.attributes import set_pdeathsig

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable

    from zonectl.kernel.pump import Loop

SICKLY_S = 0.1
"""A spare that dies sooner, with no client, has a reason that the next one may have too."""

PAUSE_S = 1.0
_PID_BYTES = 8


class Spare:
    """The spare worker of a zoned; `pid` is 0 while there is none.

    `serve` is what it does with its client, `rehearsal` what it goes through before one comes, `keep` the descriptors
    that those need; `taken` is called with its pid when it has a client.
    """

    def __init__(
        self,
        listener: socket.socket,
        *,
        serve: Callable[[socket.socket], int],
        rehearsal: Callable[[], Iterable[Callable[[], object]]],
        keep: Iterable[int],
        taken: Callable[[int], None],
    ) -> None:
        self.pid = 0
        self._listener = listener
        self._serve = serve
        self._rehearsal = rehearsal
        self._keep = tuple(keep)
        self._taken = taken
        self._hired_at = 0.0
        self._reader = self._writer = -1

    def watch(self, loop: Loop) -> None:
        """Hear from spares by way of `loop`."""
        os.set_blocking(self._listener.fileno(), True)
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        loop.watch(self._reader, select.POLLIN, self.hear)

    def hire(self) -> None:
        """Fork a spare."""
        zoned = os.getpid()
        keep = (self._listener.fileno(), self._writer, *self._keep)
        self.pid = fork(lambda: self._attend(zoned), keep=keep)
        self._hired_at = time.monotonic()

    def dismiss(self) -> None:
        """Have the spare exit; if it gets a client at this very moment, it says so instead."""
        if self.pid:
            os.kill(self.pid, signal.SIGUSR2)

    def hear(self) -> None:
        """Take note of a client that a spare has."""
        try:
            said = os.read(self._reader, 64 * _PID_BYTES)
        except BlockingIOError:
            return
        for first in range(0, len(said), _PID_BYTES):
            pid = int(said[first : first + _PID_BYTES])
            if pid == self.pid:
                self.pid = 0
                self._taken(pid)

    def mourn(self) -> float:
        """The spare has ended without a client: after how many seconds to hire the next one."""
        self.pid = 0
        return PAUSE_S if time.monotonic() - self._hired_at < SICKLY_S else 0.0

    def _attend(self, zoned: int) -> int:
        """In the spare: wait for a client of our own user, then serve it."""
        engaged = False

        def dismissed(_signum: int, _frame: object) -> None:
            if not engaged:
                os._exit(0)

        signal.signal(signal.SIGUSR2, dismissed)
        set_pdeathsig(signal.SIGUSR2)
        if os.getppid() != zoned:
            return 0
        self._rehearse()
        sock = self._client()
        # A dismissal until here ends the connection before the welcome, and the client tries again.
        engaged = True
        set_pdeathsig(0)
        self._tell()
        with sock:
            return self._serve(sock)

    def _rehearse(self) -> None:
        """Write to the pages that a command will write to, until there is a client."""
        for part in self._rehearsal():
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
        os.close(self._writer)
        self._listener.close()


def _readable(sock: socket.socket) -> bool:
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
