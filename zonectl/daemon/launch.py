"""How a client reaches zoned, and starts it where nobody listens.

The client imports this module: only what the interpreter has built in (see client.py).
"""

from __future__ import annotations

import _socket
import posix
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from zonectl.daemon import verbs

_START_TIMEOUT_S = 30.0
_PAUSE_S = 0.01
_LONGEST_SOCKET_PATH = 100
_SIGNALS = tuple(n for n in range(1, 65) if n not in {9, 19, 32, 33})
"""All but SIGKILL and SIGSTOP, which have no other, and those of the C library."""

_GONE = (2, 111)  # ENOENT, ECONNREFUSED: nobody listens
_ENVIRONMENT = {
    b"PATH": b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    b"LC_ALL": b"C.UTF-8",
}
_PASSED = (b"ZONECTL_IDLE",)


class ClientError(Exception):
    """Why the call could not be handed over, in the user's words."""


def connect(run: str) -> _socket.socket | None:
    """A connection to the zoned of the run root; None if nobody listens."""
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    folder = -1
    try:
        path = f"{run}/zoned.sock"
        if len(path) > _LONGEST_SOCKET_PATH:  # sun_path has 108 bytes, unix(7)
            folder = posix.open(run, posix.O_PATH | posix.O_DIRECTORY | posix.O_CLOEXEC)
            path = f"/proc/self/fd/{folder}/zoned.sock"
        sock.connect(path)
    except OSError as error:
        sock.close()
        if error.errno in _GONE:
            return None
        raise ClientError(f"cannot connect to {run}/zoned.sock: {error.strerror}") from error
    finally:
        if folder >= 0:
            posix.close(folder)
    return sock


class Start:
    """Starts zoned where nobody listens; of several clients at once, the one that gets zoned.lock does."""

    def __init__(self, call: verbs.Call, program: tuple[str, ...]) -> None:
        self._call = call
        self._program = program

    def connect(self) -> _socket.socket:
        """A connection to the zoned that this or another client has started.

        Raises:
            ClientError: it does not come up; the message is its own.

        """
        deadline = time.monotonic() + _START_TIMEOUT_S
        # Looked for once more after the time is over: to start it may have taken all of that.
        while (sock := connect(self._call.run)) is None:
            if time.monotonic() > deadline:
                raise ClientError("zoned does not come up: see zoned.log in the run root")
            if (lock := self._lock()) is not None:
                self._start(lock)
            else:
                time.sleep(_PAUSE_S)
        return sock

    def _lock(self) -> int | None:
        import fcntl

        try:
            _make_folders(self._call.run)
            flags = posix.O_RDWR | posix.O_CREAT | posix.O_CLOEXEC | posix.O_NOFOLLOW
            fd = posix.open(f"{self._call.run}/zoned.lock", flags, 0o600)
        except OSError as error:
            raise ClientError(f"cannot start zoned in {self._call.run}: {error.strerror}") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            posix.close(fd)
            return None
        return fd

    def _start(self, lock: int) -> None:
        """Start zoned, which takes over the lock, and wait until it listens."""
        reader, writer = posix.pipe2(posix.O_CLOEXEC)
        pid = self._spawn(lock, writer)
        posix.close(lock)
        posix.close(writer)
        said = b""
        while part := posix.read(reader, 4096):
            said += part
        posix.close(reader)
        try:  # noqa: SIM105 - the client does not import contextlib
            posix.waitpid(pid, 0)
        except ChildProcessError:
            pass  # the caller ignores SIGCHLD: the kernel has reaped it
        if said != b"ready\n":
            why = said.decode(errors="replace").strip() or "it ended"
            raise ClientError(f"zoned does not start: {why}")

    def _spawn(self, lock: int, ready: int) -> int:
        call = self._call
        argv = (*self._program, "--root", call.root, "--run", call.run, "zoned", "start", "3", "4")
        # Not onto 3 and 4 at once: either may be the other's number. Low numbers: few may be allowed (RLIMIT_NOFILE).
        one, other = [fd for fd in range(5, 9) if fd not in {lock, ready}][:2]
        actions = [
            (posix.POSIX_SPAWN_DUP2, lock, one),
            (posix.POSIX_SPAWN_DUP2, ready, other),
            (posix.POSIX_SPAWN_DUP2, one, 3),
            (posix.POSIX_SPAWN_DUP2, other, 4),
            (posix.POSIX_SPAWN_CLOSE, one),
            (posix.POSIX_SPAWN_CLOSE, other),
            *((posix.POSIX_SPAWN_OPEN, stream, "/dev/null", posix.O_RDWR, 0) for stream in range(3)),
        ]
        environment = _ENVIRONMENT | {name: posix.environ[name] for name in _PASSED if name in posix.environ}
        # A signal that the caller ignores must not be ignored by zoned: it lives by SIGCHLD and leaves by SIGTERM.
        try:
            return posix.posix_spawn(
                self._program[0],
                argv,
                environment,
                file_actions=actions,
                setsid=True,
                setsigmask=(),
                setsigdef=_SIGNALS,
            )
        except OSError as error:
            raise ClientError(f"cannot start zoned: {error.strerror}") from error


def _make_folders(path: str) -> None:
    try:
        posix.mkdir(path, 0o700)
    except FileExistsError:
        return
    except FileNotFoundError:
        _make_folders(path.rpartition("/")[0])
        posix.mkdir(path, 0o700)
