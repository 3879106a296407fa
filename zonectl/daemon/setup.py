"""How a process becomes zoned: it takes the lock and the socket, and drops what it has of its caller."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import socket
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import prctl

import zonectl
from zonectl.daemon import journal
from zonectl.errors import DaemonError, SyscallError
from zonectl.kernel import ranking
from zonectl.kernel.attributes import set_child_subreaper
from zonectl.model.limits import DEFAULTS, Limit
from zonectl.security import ceilings, keyring

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zonectl.store.paths import Paths

BACKLOG = 128
LISTEN_FDS_START = 3
UMASK = 0o022
"""zoned's own."""

_ENDING_S = 1.0
"""How long zoned's group may be busy with processes that are ending."""
_PAUSE_S = 0.01

_KEPT = ("PATH", "LC_ALL", "ZONECTL_IDLE")


def take_lock(paths: Paths) -> int:
    """The lock of the one zoned of the instance, held while the descriptor is open.

    Raises:
        DaemonError: another zoned has it.

    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    fd = os.open(paths.daemon_lock, flags, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise DaemonError(f"a zoned runs already for {paths.run_dir}", hint="zonectl zoned stop") from None
    return fd


def sign_lock(fd: int) -> None:
    """Write pid and version into the lock file, for `zoned stop` and `zoned status`."""
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()} {zonectl.__version__}\n".encode(), 0)


def holder(paths: Paths) -> tuple[int, str] | None:
    """Pid and version of the zoned that holds the lock; None if there is none."""
    try:
        fd = os.open(paths.daemon_lock, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        pid, _space, version = os.pread(fd, 256, 0).decode().strip().partition(" ")
        return (int(pid), version) if pid.isdecimal() else None
    finally:
        os.close(fd)
    return None


def passed_listener() -> socket.socket | None:
    """The socket that systemd has passed (sd_listen_fds(3)); None if it has not."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        return None
    os.set_inheritable(LISTEN_FDS_START, False)  # noqa: FBT003 - positional in os
    return socket.socket(fileno=LISTEN_FDS_START)


def listen(paths: Paths) -> socket.socket:
    """A new socket at the instance's path, for its owner alone; the caller holds the lock, so an old one is dead."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with suppress(FileNotFoundError):
        os.unlink(paths.socket)
    with _short(paths) as path:
        before = os.umask(0o177)
        try:
            listener.bind(path)
        finally:
            os.umask(before)
    listener.listen(BACKLOG)
    return listener


@contextmanager
def _short(paths: Paths) -> Iterator[str]:
    """The socket's path by way of a descriptor: sun_path has 108 bytes (unix(7))."""
    folder = os.open(paths.run_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{os.path.basename(paths.socket)}"
    finally:
        os.close(folder)


def drop_caller(paths: Paths) -> None:
    """Drop working directory, umask, environment, keyring, terminal, limits and rank.

    Processors and scheduling policy stay: who starts zoned with taskset(1), chrt(1) or a unit that says so means it.
    Zones get neither (`security.ranks`). Errors go to zoned's log from here on.
    """
    os.chdir("/")
    os.umask(UMASK)
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    os.environ.clear()
    os.environ.update(kept)
    with suppress(OSError):  # EACCES: lower than our caller's needs CAP_SYS_RESOURCE
        _write("/proc/self/oom_score_adj", "0")
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    ranking.reset_ioprio(0)
    keyring.begin()
    _drop_limits()
    wire_streams(paths)


def _drop_limits() -> None:
    """Go back to the kernel's own limits: a limit of processor time would end zoned, and each worker would have it.

    Hard limits are raised where they are lower and CAP_SYS_RESOURCE is there, never lowered: a zone may ask for more.
    """
    for number, usual in enumerate(DEFAULTS.values()):
        now = ceilings.current(number)
        hard = max(now.hard, usual.hard)
        try:
            ceilings.change(number, Limit(min(usual.soft, hard), hard))
        except SyscallError:
            ceilings.change(number, Limit(min(usual.soft, now.hard), now.hard))


def wire_streams(paths: Paths) -> None:
    """Have 0 read nothing, and 1 and 2 write to zoned's log."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    log = os.open(journal.path(paths), flags, 0o600)
    for fd, stream in ((null, 0), (log, 1), (log, 2)):
        os.dup2(fd, stream)
    os.close(null)
    os.close(log)


def raise_files_limit() -> int:
    """Let zoned have as many descriptors as it may: three for each zone. The soft limit before, for the workers."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return soft


def lower_files_limit(soft: int) -> None:
    """Undo `raise_files_limit`, before an exec."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def become_parent(leaf: str | None) -> None:
    """Become the parent of orphaned descendants, in the cgroup `leaf` rather than the caller's."""
    set_child_subreaper()
    prctl.set_name("zoned")
    if leaf is not None:
        with suppress(OSError):  # a tree that is not ours to change
            os.makedirs(leaf, exist_ok=True)
            _write(f"{leaf}/cgroup.procs", str(os.getpid()))


def leave_group(leaf: str | None) -> None:
    """Remove zoned's own group, if nobody else is in it; and the instance's, if that was the last in it."""
    if leaf is not None:
        with suppress(OSError):
            _write(f"{os.path.dirname(os.path.dirname(leaf))}/cgroup.procs", str(os.getpid()))
            _remove_group(leaf)
            os.rmdir(os.path.dirname(leaf))


def _remove_group(folder: str) -> None:
    """Remove a group; one whose last process is just ending is busy for a moment."""
    until = time.monotonic() + _ENDING_S
    while True:
        try:
            os.rmdir(folder)
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > until:
                raise
            time.sleep(_PAUSE_S)
        else:
            return


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
