"""From a process of zonectl's to the zone's program: descriptors, terminal, environment, signals, execve.

What init and an exec have in common besides `security.attributes`.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import signal
import stat
from typing import TYPE_CHECKING

from zonectl.errors import ProgramError, ZonectlError
from zonectl.kernel import attributes, path, pty

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from zonectl.security.accounts import Account

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ABOVE_STREAMS = 10
_NULL = os.makedev(1, 3)


def connect(streams: Sequence[int | None]) -> None:
    """Make `streams` this process's 0, 1 and 2; None is /dev/null, for now the host's."""
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    # Moved up first: a stream may be one of the numbers that it is about to replace.
    moved = [fcntl.fcntl(null if fd is None else fd, fcntl.F_DUPFD_CLOEXEC, _ABOVE_STREAMS) for fd in streams]
    for number, fd in enumerate(moved):
        os.dup2(fd, number)
        os.close(fd)
    os.close(null)


def replace_null(streams: Sequence[int | None], root: int) -> None:
    """Put the zone's own /dev/null in the place of each stream that is None; `root` is a descriptor of its root.

    Raises:
        ZonectlError: what the zone has at /dev/null is another thing.

    """
    absent = [number for number, fd in enumerate(streams) if fd is None]
    if not absent:
        return
    null = path.open_in_root(root, "/dev/null", os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY)
    found = os.fstat(null)
    if not stat.S_ISCHR(found.st_mode) or found.st_rdev != _NULL:
        os.close(null)
        msg = "the zone's /dev/null is not the null device"
        raise ZonectlError(msg)
    for number in absent:
        os.dup2(null, number)
    os.close(null)


def take_terminal(root: int, window: tuple[int, int], account: Account) -> int:
    """Begin a session with a new pty of the zone's own devpts as its controlling terminal and this process's streams.

    `root` is a descriptor of the zone's root. Returns the master, which the caller owns.
    """
    # The path is the zone's: resolved below its root, and the terminal's device numbers and file system are checked.
    devpts = path.open_in_root(root, "/dev/pts", os.O_RDONLY | os.O_DIRECTORY)
    try:
        master, slave = pty.open_terminal(devpts)
    finally:
        os.close(devpts)
    pty.set_window_size(master, *window)
    os.fchown(slave, account.uid, -1)
    pty.make_controlling(slave)
    for number in range(3):
        os.dup2(slave, number)
    os.close(slave)
    return master


def environment(
    declared: Iterable[tuple[str, str]], account: Account, *, terminal_type: str | None
) -> dict[str, str]:
    """The environment of a zone's program: what is declared, over a few variables that every program expects."""
    known = {"PATH": DEFAULT_PATH, "HOME": account.home, "container": "zonectl"}
    if account.name:
        known |= {"USER": account.name, "LOGNAME": account.name}
    if terminal_type is not None:
        known["TERM"] = terminal_type
    return known | dict(declared)


def reset_signals() -> None:
    """Give every signal its default again, and unblock all: an ignored one would stay ignored over execve."""
    for number in range(1, signal.NSIG):
        # None: the C library's own, which execve resets.
        if signal.getsignal(number) not in {signal.SIG_DFL, None}:
            signal.signal(number, signal.SIG_DFL)
    attributes.reset_own_signals()
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def die_with_parent(channel: int, name: str) -> None:
    """Have this process killed when its parent ends; `channel` is a socket whose other end the parent has.

    To be called after the change of ids, which clears PR_SET_PDEATHSIG (prctl(2)). The parent may have ended before:
    then the channel has ended too.

    Raises:
        ProgramError: ECANCELED, nobody waits for the program `name`.

    """
    attributes.set_pdeathsig(signal.SIGKILL)
    if select.select([channel], [], [], 0)[0]:
        raise ProgramError(name, errno.ECANCELED)


def find(argv: tuple[str, ...], env: dict[str, str]) -> None:
    """See that `execute` would find a program, as this user, for another program that will do it.

    Raises:
        ProgramError: as `execute`.

    """
    name, denied = argv[0], False
    for place in _places(name, env):
        try:
            if stat.S_ISREG(os.stat(place).st_mode) and os.access(place, os.X_OK, effective_ids=True):
                return
            denied = True
        except OSError as error:
            denied = denied or error.errno == errno.EACCES
    raise ProgramError(name, errno.EACCES if denied else errno.ENOENT)


def _places(name: str, env: dict[str, str]) -> list[str]:
    return [name] if "/" in name else [f"{folder or '.'}/{name}" for folder in env["PATH"].split(":")]


def execute(argv: tuple[str, ...], env: dict[str, str]) -> None:
    """Become the program `argv`, looked for along PATH of `env` where its name has no slash. Does not return.

    Raises:
        ProgramError: it cannot be executed; ENOENT means that it was not found.

    """
    name, denied = argv[0], False
    for place in _places(name, env):
        try:
            os.execve(place, argv, env)  # noqa: S606 - no shell is wanted
        except OSError as error:
            if error.errno not in {errno.ENOENT, errno.ENOTDIR, errno.EACCES}:
                raise ProgramError(name, error.errno or 0) from error
            denied = denied or error.errno == errno.EACCES
    raise ProgramError(name, errno.EACCES if denied else errno.ENOENT)
