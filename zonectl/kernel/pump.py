"""A small loop that copies between descriptors and turns signals into calls.

Both front ends use it: the client of zoned, and the cold one in the calling process. The client pays for every import
with its start, so this module has no ctypes and uses only what the interpreter has built in (`_signal`, not `signal`,
which is 4 ms of enums; `posix`, not `os`).
"""

from __future__ import annotations

import posix
import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal  # the same, with enums: 4 ms
    from collections.abc import Callable
    from typing import Any
else:
    import _signal

CHUNK_BYTES = 4096
"""What a pipe that polls writable takes without blocking (PIPE_BUF, pipe(7)), and what a pty gives at once."""

RELAYED = tuple(
    getattr(_signal, name) for name in ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2")
)
STOPPING = (_signal.SIGTSTP, _signal.SIGCONT)
_READ, _WRITE = select.POLLIN, select.POLLOUT


class Loop:
    """A loop around poll(2): a callback for each descriptor and direction, and one-shot timers."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._callbacks: dict[int, dict[int, Callable[[], None]]] = {}
        self._timers: list[tuple[float, Callable[[], None]]] = []

    def watch(self, fd: int, event: int, callback: Callable[[], None]) -> None:
        """Call `callback` whenever `fd` is ready for `event` (POLLIN or POLLOUT), or has hung up."""
        self._callbacks.setdefault(fd, {})[event] = callback
        self._register(fd)

    def forget(self, fd: int, event: int) -> None:
        """Undo `watch`; harmless if there was none."""
        if self._callbacks.get(fd, {}).pop(event, None):
            self._register(fd)

    def later(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call `callback` once, `seconds` from now."""
        self._timers.append((time.monotonic() + seconds, callback))

    def turn(self, *, block: bool = True) -> bool:
        """Wait for something and do it; without `block` do what is there. Returns whether there was something."""
        ready = self._poll.poll(self._timeout_ms() if block else 0)
        for fd, events in ready:
            for event, callback in list(self._callbacks.get(fd, {}).items()):
                hung_up = events & ~(_READ | _WRITE)
                if (events & event or hung_up) and self._callbacks.get(fd, {}).get(event) is callback:
                    callback()
        return self._expire() or bool(ready)

    def _register(self, fd: int) -> None:
        events = 0
        for event in self._callbacks[fd]:
            events |= event
        if events:
            self._poll.register(fd, events)
        else:
            # poll(2) reports a hang-up even when asked for nothing.
            del self._callbacks[fd]
            self._poll.unregister(fd)

    def _timeout_ms(self) -> int | None:
        if not self._timers:
            return None
        return max(0, int((min(due for due, _ in self._timers) - time.monotonic()) * 1000) + 1)

    def _expire(self) -> bool:
        now = time.monotonic()
        due = [callback for when, callback in self._timers if when <= now]
        self._timers = [timer for timer in self._timers if timer[0] > now]
        for callback in due:
            callback()
        return bool(due)


class Copy:
    """Copies `source` to `sink` a chunk at a time, never reading on before the last chunk is written.

    `sift` may change what is copied, `farewell` gives what is written behind the source's end. `ended` is called when
    that is done, or the sink is gone (then `broken` is set); the descriptors stay the caller's.
    """

    def __init__(
        self,
        loop: Loop,
        source: int,
        sink: int,
        *,
        ended: Callable[[Copy], None],
        sift: Callable[[bytes], bytes] | None = None,
        farewell: Callable[[], bytes] | None = None,
    ) -> None:
        self.source = source
        self.sink = sink
        self.broken = False
        self._loop = loop
        self._ended = ended
        self._sift = sift
        self._farewell = farewell
        self._pending = b""

    def start(self) -> None:
        """Begin to copy, or go on after `ended` has been called."""
        self._loop.watch(self.source, _READ, self._read)

    def stop(self) -> None:
        """Copy no more; what has been read is kept for `drain`."""
        self._loop.forget(self.source, _READ)
        self._loop.forget(self.sink, _WRITE)

    def drain(self, interrupt: int) -> None:
        """Copy what is in the source now, without the loop; give up when `interrupt` becomes readable."""
        self.stop()
        while not self.broken and (self._pending or self._fill()):
            ready = dict(_poll((self.sink, _WRITE), (interrupt, _READ), timeout_ms=None))
            if interrupt in ready:
                return
            self._put()

    def _fill(self) -> bool:
        # poll(2) on a pty's master first moves what is still on its way from the slave (n_tty_poll).
        if not _poll((self.source, _READ), timeout_ms=0):
            return False
        self._pending = self._take() or b""
        return bool(self._pending)

    def _take(self) -> bytes | None:
        try:
            return posix.read(self.source, CHUNK_BYTES)
        except BlockingIOError:
            return None
        except OSError:  # EIO: the last slave of a pty was closed, or the terminal has hung up
            return b""

    def _put(self) -> None:
        try:
            self._pending = self._pending[posix.write(self.sink, self._pending) :]
        except BlockingIOError:
            return
        except OSError:  # EPIPE, EIO: nobody is there to read it
            self.broken = True

    def _read(self) -> None:
        data = self._take()
        if data is None:
            return
        if data:
            self._pending = self._sift(data) if self._sift else data
        elif self._farewell:
            # Once; what is read next is the end again.
            self._pending, self._farewell = self._farewell(), None
        else:
            self.stop()
            self._ended(self)
            return
        if self._pending:
            self._loop.forget(self.source, _READ)
            self._loop.watch(self.sink, _WRITE, self._write)

    def _write(self) -> None:
        self._put()
        if self.broken:
            self.stop()
            self._ended(self)
        elif not self._pending:
            self._loop.forget(self.sink, _WRITE)
            self.start()


def _poll(*wanted: tuple[int, int], timeout_ms: int | None) -> list[tuple[int, int]]:
    poll = select.poll()
    for fd, event in wanted:
        poll.register(fd, event)
    return poll.poll(timeout_ms)


class Signals:
    """Turns signals of this process into calls from the loop; what the caller had set to be ignored stays ignored."""

    def __init__(self, loop: Loop, caught: Callable[[int], None]) -> None:
        self._loop = loop
        self._caught = caught
        self._before: dict[int, Any] = {}
        self._reader, self._writer = posix.pipe2(posix.O_NONBLOCK | posix.O_CLOEXEC)
        self._wakeup = _signal.set_wakeup_fd(self._writer)
        loop.watch(self._reader, _READ, self._read)

    def catch(self, *signals: int) -> None:
        """Catch these from now on."""
        for signum in signals:
            if _signal.getsignal(signum) != _signal.SIG_IGN and signum not in self._before:
                self._before[signum] = _signal.signal(signum, _noted)

    def release(self, *signals: int) -> None:
        """Give these back to who had them before."""
        for signum in signals:
            if signum in self._before:
                _signal.signal(signum, self._before.pop(signum))

    @property
    def reader(self) -> int:
        """Readable when a signal has been caught and not yet told."""
        return self._reader

    def close(self) -> None:
        """Give all back and close the pipe."""
        self.release(*tuple(self._before))
        _signal.set_wakeup_fd(self._wakeup)
        self._loop.forget(self._reader, _READ)
        posix.close(self._reader)
        posix.close(self._writer)

    def _read(self) -> None:
        for signum in posix.read(self._reader, 64):
            self._caught(signum)


def _noted(_signum: int, _frame: object) -> None:
    """Leave it to the wakeup descriptor (signal.set_wakeup_fd)."""
