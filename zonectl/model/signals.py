"""Names of the signals that may ask a zone to stop, and their numbers (signal(7))."""

from __future__ import annotations

import re

# fmt: off
STOP_SIGNALS = (
    "SIGABRT", "SIGALRM", "SIGBUS", "SIGCHLD", "SIGCONT", "SIGFPE", "SIGHUP", "SIGILL", "SIGINT",
    "SIGIO", "SIGKILL", "SIGPIPE", "SIGPROF", "SIGPWR", "SIGQUIT", "SIGSEGV", "SIGSTKFLT", "SIGSYS",
    "SIGTERM", "SIGTRAP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG", "SIGUSR1", "SIGUSR2",
    "SIGVTALRM", "SIGWINCH", "SIGXCPU", "SIGXFSZ",
)
# fmt: on
"""Every named signal of Linux but SIGSTOP, which only the kernel hears; sorted."""

REAL_TIME = re.compile(r"SIGRT(MIN|MAX)(?:([+-])([0-9]{1,2}))?\Z")


def signal_number(name: str) -> int:
    """The number of a signal by its name: `SIGTERM`, `SIGRTMIN+3` (which asks systemd to halt), `SIGRTMAX-1`.

    Raises:
        ValueError: there is no such signal, or it cannot ask a zone to stop (SIGSTOP).

    """
    import signal  # noqa: PLC0415 - the names above suffice to check a zone file

    if name in STOP_SIGNALS:
        return signal.Signals[name].value
    match = REAL_TIME.match(name)
    if not match or (match[2] and match[2] != {"MIN": "+", "MAX": "-"}[match[1]]):
        msg = f"not a signal that can stop a zone: {name!r}"
        raise ValueError(msg)
    offset = int(match[3] or 0)
    number = signal.SIGRTMIN + offset if match[1] == "MIN" else signal.SIGRTMAX - offset
    if not signal.SIGRTMIN <= number <= signal.SIGRTMAX:
        msg = f"no such real-time signal: {name!r}"
        raise ValueError(msg)
    return int(number)
