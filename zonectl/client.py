"""The command that people type: hands its call to zoned's worker, or runs the same code in place.

It runs under `python3 -IS` and imports next to nothing: 6 ms of its 8 are the interpreter's own start. Even `os` (1 ms)
and `signal` (4 ms) are left out for what they wrap, `posix` and `_signal`. Its launcher is three lines:

    #!/usr/bin/python3 -IS
    import sys; sys.path.append(WHERE THIS PACKAGE IS); from zonectl import client
    sys.exit(client.main(sys.argv[1:], site=(WHERE THE OTHER LIBRARIES ARE,)))
"""

from __future__ import annotations

import posix
import select
import sys

import zonectl
from zonectl.daemon import protocol, verbs
from zonectl.daemon.launch import ClientError, Start, connect
from zonectl.kernel import pump

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    import signal as _signal  # the same, with enums: 4 ms
    from collections.abc import Callable, Sequence

    from zonectl.kernel.terminal import Session
else:
    import _signal

_ATTEMPTS = 8
_LAST_WORDS_S = 2.0
_BROKEN_OFF = 1
_FOREGROUND_FAILURE = 125
_KILLED = 128 + _signal.SIGKILL


def main(argv: list[str], *, site: tuple[str, ...]) -> int:
    """Run the command `argv` (without the program's name) and return its exit status, or exit with it at once.

    `site` are the folders that the command's libraries are in; they join sys.path only when it runs in place.
    """
    try:
        return _main(argv, site)
    except KeyboardInterrupt:
        return 128 + _signal.SIGINT


def _main(argv: list[str], site: tuple[str, ...]) -> int:
    call = verbs.parse(argv, _settings(), verbs.working_folder())
    if call.verb == verbs.INTERNAL:
        return _zoned(call, site)
    if not call.cold and posix.geteuid() == 0 and call.verb in verbs.WARM:
        try:
            status = _Client(argv, call).run()
        except (ClientError, OSError) as error:
            posix.write(2, f"zonectl: {_words(error)}\n".encode(errors="surrogateescape"))
            status = _failure(call.verb)
        if status is not None:
            # All was written by write(2): the interpreter has nothing to tidy, which would take it 1.5 ms.
            posix._exit(status)  # noqa: SLF001 - public by its documentation
    return _in_place(argv, site)


def _in_place(argv: list[str], site: tuple[str, ...]) -> int:
    try:
        _fill_streams()
    except OSError as error:
        posix.write(2, f"zonectl: cannot open /dev/null: {error.strerror}\n".encode())
        return _BROKEN_OFF
    sys.path.extend(site)
    from zonectl import cli

    return cli.main(argv)


def _zoned(call: verbs.Call, site: tuple[str, ...]) -> int:
    sys.path.extend(site)
    from zonectl.daemon import entry

    return entry.main(call, program=_program())


def _failure(verb: str) -> int:
    return _FOREGROUND_FAILURE if verb in verbs.FOREGROUND else _BROKEN_OFF


def _words(error: ClientError | OSError) -> str:
    """Why the call failed; what the kernel refuses this process, which opens little, is as a rule one more file."""
    return f"cannot reach zoned: {error.strerror}" if isinstance(error, OSError) else str(error)


def _bytes(text: str) -> bytes:
    return text.encode(sys.getfilesystemencoding(), "surrogateescape")


def _text(raw: bytes) -> str:
    return raw.decode(sys.getfilesystemencoding(), "surrogateescape")


def _settings() -> dict[str, str]:
    names = (b"ZONECTL_ROOT", b"ZONECTL_RUN")
    return {_text(name): _text(posix.environ.get(name, b"")) for name in names}


def _program() -> tuple[str, ...]:
    """The words that start this very program, without its arguments."""
    words = sys.orig_argv[: len(sys.orig_argv) - len(sys.argv) + 1]
    return (sys.executable, *words[1:-1], verbs.normal(sys.argv[0], verbs.working_folder()))


class _Client:
    """One call, from the first attempt to connect to the exit status."""

    def __init__(self, argv: Sequence[str], call: verbs.Call) -> None:
        self._argv = argv
        self._call = call
        self._program = _program()
        self._loop = pump.Loop()
        self._sock: _socket.socket | None = None
        self._session: Session | None = None
        self._signals: pump.Signals | None = None
        self._terminals, self._sent = _streams()
        self._status: int | None = None
        self._welcome = False
        self._over = False

    def run(self) -> int | None:
        """The exit status; None if the call is better run in place.

        Raises:
            ClientError: zoned cannot be started, or broke off.

        """
        for attempt in range(_ATTEMPTS):
            if (sock := self._connected()) is None:
                if self._signals:
                    self._signals.close()
                return None
            if not self._session and not attempt:
                self._catch()
            status = self._converse(sock)
            sock.close()
            if status is not None:
                return status
        raise ClientError("zoned does not take the call: it leaves, or changes its version, again and again")

    def _connected(self) -> _socket.socket | None:
        sock = connect(self._call.run)
        if sock is None and self._call.verb not in verbs.READING:
            sock = Start(self._call, self._program).connect()
        return sock

    def _catch(self) -> None:
        if self._call.verb in verbs.FOREGROUND:
            from zonectl.kernel.terminal import Session

            self._session = Session(self._loop, terminals=self._terminals, relay=self._relay)
        else:
            self._signals = pump.Signals(self._loop, self._relay)
            self._signals.catch(*pump.RELAYED)

    def _converse(self, sock: _socket.socket) -> int | None:
        self._sock, self._over = sock, False
        try:
            self._greet(sock)
            self._loop.watch(sock.fileno(), select.POLLIN, self._receive)
            while self._status is None and not self._over:
                self._loop.turn()
        except OSError as error:
            if self._welcome or error.errno not in {32, 104}:  # EPIPE, ECONNRESET: zoned was just leaving
                raise ClientError(f"the connection to zoned failed: {error.strerror}") from error
        except protocol.ProtocolError as error:
            raise ClientError(f"zoned: {error}") from error
        finally:
            self._loop.forget(sock.fileno(), select.POLLIN)
            self._sock = None
            if self._session and (self._welcome or self._status is not None):
                self._session.close()
        if self._status is None and self._welcome:
            raise ClientError("zoned's worker was killed")
        return self._status

    def _greet(self, sock: _socket.socket) -> None:
        hello = protocol.Hello(
            version=zonectl.__version__.encode(),
            umask=_umask(),
            terminals=self._terminals,
            sent=self._sent,
            window=self._window(),
            program=tuple(_bytes(word) for word in self._program),
            argv=tuple(_bytes(word) for word in self._argv),
            environment=tuple(name + b"=" + value for name, value in posix.environ.items()),
        )
        cwd = posix.open(".", posix.O_PATH | posix.O_DIRECTORY | posix.O_CLOEXEC)
        protocol.send(sock, protocol.HELLO, hello.pack(), descriptors=(cwd, *self._sent))
        posix.close(cwd)

    def _window(self) -> tuple[int, int]:
        if self._session and self._terminals:
            from zonectl.kernel.terminal import window

            return window(max(self._terminals & {0, 1} or self._terminals))
        return 24, 80

    def _relay(self, signum: int) -> None:
        if self._sock is not None:
            protocol.send(self._sock, protocol.SIGNAL, b"%d" % signum)
        if signum == _signal.SIGKILL:
            # The user asked for it by `~.`: do not let a stuck worker keep the terminal.
            self._loop.later(_LAST_WORDS_S, lambda: self._exit(b"%d" % _KILLED))

    def _receive(self) -> None:
        if self._sock is None:
            return
        frame = protocol.receive(self._sock)
        if frame is None:
            self._over = True
            return
        handlers: dict[bytes, Callable[[bytes], None]] = {
            protocol.WELCOME: self._welcomed,
            protocol.VERSION: self._refused,
            protocol.DRAIN: self._drain,
            protocol.ASK: self._ask,
            protocol.TEXT: _say,
            protocol.EXIT: self._exit,
        }
        if frame.kind in {protocol.MASTER, protocol.PIPES}:
            self._attach(frame)
        elif frame.kind in handlers:
            handlers[frame.kind](frame.body)

    def _attach(self, frame: protocol.Frame) -> None:
        if self._session is None or len(frame.descriptors) != max(1, len(frame.body)):
            raise protocol.ProtocolError("streams that were not expected")
        if frame.kind == protocol.MASTER:
            self._session.attach(frame.descriptors[0])
        for digit, fd in zip(frame.body, frame.descriptors, strict=False):
            self._session.pipe(digit - ord("0"), fd)

    def _welcomed(self, _body: bytes) -> None:
        self._welcome = True

    def _refused(self, _body: bytes) -> None:
        self._over = True

    def _drain(self, _body: bytes) -> None:
        if self._session:
            self._session.finish()
        self._answer(protocol.DRAIN, b"")

    def _ask(self, _body: bytes) -> None:
        self._loop.watch(0, select.POLLIN, self._typed)

    def _typed(self) -> None:
        self._loop.forget(0, select.POLLIN)
        try:
            line = posix.read(0, pump.CHUNK_BYTES)
        except OSError:  # the terminal has hung up
            line = b""
        self._answer(protocol.ANSWER, line)

    def _answer(self, kind: bytes, body: bytes) -> None:
        if self._sock is not None:
            protocol.send(self._sock, kind, body)

    def _exit(self, body: bytes) -> None:
        self._status = int(body) & 0xFF


def _say(body: bytes) -> None:
    posix.write(2, body)


def _umask() -> int:
    umask = posix.umask(0o077)
    posix.umask(umask)
    return umask


def _streams() -> tuple[frozenset[int], tuple[int, ...]]:
    """Which of 0..2 are terminals, and which are sent."""
    terminals = frozenset(stream for stream in range(3) if posix.isatty(stream))
    sent = tuple(stream for stream in range(3) if _is_open(stream) and not (stream == 0 and 0 in terminals))
    _fill_streams()
    return terminals, sent


def _fill_streams() -> None:
    """Open those of 0..2 that are closed, lest a file of ours land there and be taken for the caller's stream."""
    while (fd := posix.open("/dev/null", posix.O_RDWR | posix.O_CLOEXEC)) <= 2:  # noqa: PLR2004 - standard streams
        pass
    posix.close(fd)


def _is_open(fd: int) -> bool:
    try:
        posix.fstat(fd)
    except OSError:
        return False
    return True
