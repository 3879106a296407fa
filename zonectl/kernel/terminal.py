"""The caller's side of a foreground verb: its terminal, raw and always restored, and what it exchanges with a zone.

The client imports it when a foreground verb runs: no ctypes, and termios and fcntl only when there is a terminal
(0.5 ms; see pump.py).
"""

from __future__ import annotations

import posix

from zonectl.kernel.pump import RELAYED, STOPPING, Copy, Signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal  # the same, with enums: 4 ms
    from collections.abc import Callable
    from typing import Any

    from zonectl.kernel.pump import Loop
else:
    import _signal

_REOPEN_S = 0.02
_WINDOW_BYTES = 8
_DISABLED = b"\0"
"""No character of a terminal's has this meaning (_POSIX_VDISABLE, termios(3))."""


class Escape:
    """Finds `~.` at the start of a line in what is typed; `~~` there stands for one `~`."""

    def __init__(self) -> None:
        self.found = False
        self._state = "start"

    def sift(self, typed: bytes) -> bytes:
        """What of `typed` goes on to the zone; nothing after the escape."""
        passed = bytearray()
        for byte in typed:
            if self.found:
                break
            passed += self._step(byte)
        return bytes(passed)

    def _step(self, byte: int) -> bytes:
        if self._state == "tilde":
            self._state = "start" if byte in b"\r\n" else "inside"
            if byte == ord("."):
                self.found = True
                return b""
            return b"~" if byte == ord("~") else bytes((ord("~"), byte))
        if self._state == "start" and byte == ord("~"):
            self._state = "tilde"
            return b""
        self._state = "start" if byte in b"\r\n" else "inside"
        return bytes((byte,))


class Terminal:
    """The caller's terminal `fd`: raw while a zone's pty is pumped, and always restored."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._saved: list[Any] | None = None

    def make_raw(self) -> None:
        """Pass every key on as it is (cfmakeraw, termios(3)); does nothing if it is so already."""
        import termios  # 0.4 ms, and most calls have no terminal to change

        if self._saved is not None:
            return
        self._saved = termios.tcgetattr(self._fd)
        raw: list[Any] = [*self._saved[:6], list(self._saved[6])]
        raw[0] &= ~(
            termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP | termios.INLCR
            | termios.IGNCR | termios.ICRNL | termios.IXON
        )  # fmt: skip
        raw[1] &= ~termios.OPOST
        raw[2] = raw[2] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
        raw[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
        raw[6][termios.VMIN], raw[6][termios.VTIME] = 1, 0
        termios.tcsetattr(self._fd, termios.TCSANOW, raw)

    def restore(self) -> None:
        """Make the terminal what it was; harmless if it was not changed, or has gone."""
        import termios

        if self._saved is None:
            return
        saved, self._saved = self._saved, None
        try:
            termios.tcsetattr(self._fd, termios.TCSADRAIN, saved)
        except termios.error:  # it has hung up
            return


def window(fd: int) -> tuple[int, int]:
    """Rows and columns of the terminal `fd`; (24, 80) if it has none, or does not know (TIOCGWINSZ, ioctl_tty(2))."""
    import fcntl
    import termios

    try:
        size = fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(_WINDOW_BYTES))
    except OSError:
        return 24, 80
    rows, columns = (int.from_bytes(size[i : i + 2], "little") for i in (0, 2))
    return (rows, columns) if rows and columns else (24, 80)


def copy_window(source: int, sink: int) -> None:
    """Give the pty behind `sink` the size of the terminal `source`; its foreground gets SIGWINCH."""
    import fcntl
    import termios

    try:
        fcntl.ioctl(sink, termios.TIOCSWINSZ, fcntl.ioctl(source, termios.TIOCGWINSZ, bytes(_WINDOW_BYTES)))
    except OSError:  # one of both has gone
        return


class Session:
    """The caller's streams 0..2, what they are copied to and from, and the caller's signals.

    `relay` passes a signal on to the zone; `terminals` are those of streams 0..2 that are terminals.
    """

    def __init__(self, loop: Loop, *, terminals: frozenset[int], relay: Callable[[int], None]) -> None:
        self._loop = loop
        self._terminals = terminals
        self._relay = relay
        self._terminal = Terminal(0)
        self._escape = Escape()
        self._master: int | None = None
        self._in_line = False
        self._copies: list[Copy] = []
        self._owned: set[int] = set()
        self._signals = Signals(loop, self._caught)
        self._signals.catch(*RELAYED, *STOPPING)

    def attach(self, master: int) -> None:
        """Pump the pty whose master this is; the session owns it from here on."""
        self._own(master)
        self._master = master
        if 0 in self._terminals:
            copy_window(0, master)
            self._terminal.make_raw()
            self._signals.catch(_signal.SIGWINCH)
        if 0 in self._terminals:
            self._copy(0, master, sift=self._typed)
        else:
            self._copy(0, master, sift=self._fed, farewell=lambda: self._end_of_file(master))
        self._copy(master, 1)

    def pipe(self, stream: int, fd: int) -> None:
        """Copy between the caller's stream and `fd`, its stand-in; the session owns `fd` from here on."""
        self._own(fd)
        if stream == 0:
            self._copy(0, fd)
        else:
            self._copy(fd, stream)

    def finish(self) -> None:
        """Copy what the zone has written until now, make the terminal what it was, copy no more."""
        try:
            for copy in self._copies:
                if copy.source == 0:
                    copy.stop()
                else:
                    copy.drain(self._signals.reader)
        finally:
            self._terminal.restore()
            self._copies.clear()
            for fd in tuple(self._owned):
                self._disown(fd)

    def close(self) -> None:
        """Finish, and give the signals back."""
        try:
            self.finish()
        finally:
            self._signals.close()

    def _own(self, fd: int) -> None:
        # Our writes must not wait for a zone that does not read while it waits for us to take its output.
        posix.set_blocking(fd, False)
        self._owned.add(fd)

    def _disown(self, fd: int) -> None:
        if fd in self._owned:
            self._owned.remove(fd)
            posix.close(fd)

    def _copy(
        self,
        source: int,
        sink: int,
        *,
        sift: Callable[[bytes], bytes] | None = None,
        farewell: Callable[[], bytes] | None = None,
    ) -> None:
        copy = Copy(self._loop, source, sink, sift=sift, farewell=farewell, ended=self._ended)
        self._copies.append(copy)
        copy.start()

    def _ended(self, copy: Copy) -> None:
        if copy.source == self._master and not copy.broken:
            # A pty's master says EIO while no slave is open; a getty or a login opens it again.
            self._loop.later(_REOPEN_S, lambda: self._reopen(copy))
            return
        self._copies.remove(copy)
        if self._master is None:
            self._disown(copy.source)
            self._disown(copy.sink)
        elif copy.broken or 0 in self._terminals:
            # The terminal has hung up, or the pty's reader has gone.
            self._relay(_signal.SIGKILL)

    def _reopen(self, copy: Copy) -> None:
        if copy in self._copies:
            copy.start()

    def _typed(self, data: bytes) -> bytes:
        passed = self._escape.sift(data)
        if self._escape.found:
            self._relay(_signal.SIGKILL)
        return passed

    def _fed(self, data: bytes) -> bytes:
        self._in_line = not data.endswith((b"\n", b"\r"))
        return data

    def _end_of_file(self, master: int) -> bytes:
        """What the pty takes for an end of its input (VEOF, termios(3)): in a line, the first one ends but the line."""
        import termios

        try:
            character: bytes = termios.tcgetattr(master)[6][termios.VEOF]
        except termios.error:
            return b""
        if character == _DISABLED:
            return b""
        return character * (2 if self._in_line else 1)

    def _caught(self, signum: int) -> None:
        if signum == _signal.SIGWINCH:
            if self._master is not None:
                copy_window(0, self._master)
        elif signum == _signal.SIGTSTP:
            self._stop()
        elif signum == _signal.SIGCONT:
            self._go_on()
        elif signum == _signal.SIGHUP and self._master is not None:
            self._relay(_signal.SIGKILL)
        else:
            self._relay(signum)

    def _stop(self) -> None:
        # In raw mode Ctrl-Z is the zone's, and this is somebody's `kill -TSTP`: only the caller's side stops.
        if self._master is None:
            self._relay(_signal.SIGTSTP)
        self._terminal.restore()
        posix.kill(posix.getpid(), _signal.SIGSTOP)

    def _go_on(self) -> None:
        if self._master is None:
            self._relay(_signal.SIGCONT)
        elif 0 in self._terminals:
            self._terminal.make_raw()
            copy_window(0, self._master)
