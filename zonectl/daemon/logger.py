"""The logger: one process that moves every zone's output from its FIFOs to its log.

It is zoned's child, but outlives it: with zoned gone it goes on until the last zone has ended. A new zoned starts a
logger of its own, which asks the old one to leave and waits for its lock. What a zone writes meanwhile waits in the
FIFOs, which zoned holds open as well: they lose nothing when the logger is killed.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import prctl

from zonectl.daemon import journal
from zonectl.daemon.handover import MAX_MESSAGE_BYTES
from zonectl.daemon.zonelog import Source, ZoneLog
from zonectl.errors import SyscallError
from zonectl.kernel import pump, sockets

if TYPE_CHECKING:
    from zonectl.store.paths import Paths

_FIFOS = 2


def lock_path(paths: Paths) -> str:
    """Held by the one logger of the instance, and naming its pid."""
    return f"{paths.run_dir}/logger.lock"


def take_over(path: str) -> int:
    """The lock `path`, after whoever holds it has been asked to leave: a descriptor that must stay open."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _ask_to_leave(fd)
        fcntl.flock(fd, fcntl.LOCK_EX)
    os.ftruncate(fd, 0)
    os.pwrite(fd, b"%d\n" % os.getpid(), 0)
    return fd


def _ask_to_leave(lock: int) -> None:
    """Send SIGTERM to the holder, who alone writes its pid there, and only while it holds the lock."""
    with suppress(ValueError, ProcessLookupError):
        pidfd = os.pidfd_open(int(os.pread(lock, 32, 0)))
        try:
            # Looked up before the lock is tried again: if it is still held, the pid was not reused.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            signal.pidfd_send_signal(pidfd, signal.SIGTERM)
        finally:
            os.close(pidfd)


class Logger:
    """The loop of the logger; `zoned` is its end of a SEQPACKET pair."""

    def __init__(self, paths: Paths, zoned: socket.socket) -> None:
        self._paths = paths
        self._zoned = zoned
        self._orphan = False
        self._loop = pump.Loop()
        self._sources: dict[int, Source] = {}
        self._leaving = False

    def run(self) -> int:
        """Log until told to leave by SIGTERM, or until zoned and all zones have gone."""
        prctl.set_name("zoned logger")
        take_over(lock_path(self._paths))
        signals = pump.Signals(self._loop, self._leave)
        signals.catch(signal.SIGTERM)
        for signum in (signal.SIGINT, signal.SIGHUP):
            signal.signal(signum, signal.SIG_IGN)
        self._loop.watch(self._zoned.fileno(), select.POLLIN, self._hear)
        while not self._leaving and (self._sources or not self._orphan):
            self._loop.turn()
        for source in self._sources.values():
            source.drain()
        return 0

    def _leave(self, _signum: int) -> None:
        self._leaving = True

    def _hear(self) -> None:
        try:
            data, descriptors = sockets.receive(self._zoned, MAX_MESSAGE_BYTES, _FIFOS)
        except SyscallError:  # ECONNRESET: zoned was killed before it read all of ours
            data, descriptors = b"", []
        if not data:
            self._loop.forget(self._zoned.fileno(), select.POLLIN)
            self._orphan = True
            return
        message = json.loads(data)
        if message["kind"] == "watch":
            self._watch(int(message["key"]), str(message["zone"]), descriptors)
        else:
            self._end(int(message["key"]))

    def _watch(self, key: int, zone: str, descriptors: list[int]) -> None:
        # For reading only: when zone and zoned have gone, the FIFO says so.
        fifos = [
            os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC) for fd in descriptors
        ]
        for fd in descriptors:
            os.close(fd)
        if len(fifos) != _FIFOS:
            return
        log = ZoneLog(
            self._paths.log_dir(zone), complain=lambda text: journal.complain(self._paths, f"{zone}: {text}")
        )
        source = Source(key, log, (fifos[0], fifos[1]))
        self._sources[key] = source
        for fifo in fifos:
            self._loop.watch(fifo, select.POLLIN, lambda fifo=fifo: self._take(source, fifo))  # type: ignore[misc]

    def _take(self, source: Source, fifo: int) -> None:
        if source.take(fifo) or not self._orphan:
            return
        # Readable, and nothing there: its last writer has gone, zoned among them.
        self._loop.forget(fifo, select.POLLIN)
        source.silent.add(fifo)
        if source.silent == set(source.fifos):
            self._end(source.key)

    def _end(self, key: int) -> None:
        if source := self._sources.pop(key, None):
            source.drain()
            for fifo in source.fifos:
                self._loop.forget(fifo, select.POLLIN)
            source.close()
        with suppress(OSError):  # zoned has gone
            self._zoned.send(json.dumps({"closed": key}).encode(), socket.MSG_DONTWAIT)
