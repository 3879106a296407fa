"""What a zone's program finds: streams, environment, signals, and where it is looked for itself."""

from __future__ import annotations

import fcntl
import os
import signal
from typing import TYPE_CHECKING

from zonectl.kernel import attributes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from zonectl.security.accounts import Account

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ABOVE_STREAMS = 10


def connect(streams: Sequence[int | None]) -> None:
    """Make `streams` this process's 0, 1 and 2; None is /dev/null, for now the host's."""
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    # Moved up first: a stream may be one of the numbers that it is about to replace.
    moved = [fcntl.fcntl(null if fd is None else fd, fcntl.F_DUPFD_CLOEXEC, _ABOVE_STREAMS) for fd in streams]
    for number, fd in enumerate(moved):
        os.dup2(fd, number)
        os.close(fd)
    os.close(null)


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


def places(name: str, env: dict[str, str]) -> list[str]:
    """Where the program `name` is looked for: along PATH of `env` where it has no slash; one without a name nowhere."""
    if "/" in name or not name:
        return [name]
    return [f"{folder or '.'}/{name}" for folder in env["PATH"].split(":")]
