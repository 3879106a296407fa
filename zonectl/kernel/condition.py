"""What a process has on it that it would leave to whatever it does next, as the kernel tells it; proc(5)."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Final

from zonectl.kernel import proc
from zonectl.kernel.attributes import dumpable

if TYPE_CHECKING:
    from collections.abc import Collection

_STATUS: Final = (
    *("Umask", "Uid", "Gid", "Groups", "Threads", "SigBlk", "SigIgn", "SigCgt"),
    *("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters"),
    *("Cpus_allowed", "Mems_allowed"),
)
_FILES: Final = ("cgroup", "coredump_filter", "limits", "oom_score_adj", "personality", "timerslack_ns")
_LINKS: Final = ("cwd", "root")
_TIMERS: Final = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)


def look(*, without: Collection[int] = ()) -> dict[str, str | None]:
    """The state of the calling process, by names for people; between two that are equal nothing was left behind.

    It holds ids, groups, capabilities, seccomp, masks and handlers of signals, umask, folders, namespaces, control
    groups, limits, priority, timers, threads, children, and every descriptor but those in `without`.
    """
    status = proc.status_fields("self")
    return {
        **{name: status.get(name) for name in _STATUS},
        **{name: proc.read("self", name) for name in _FILES},
        **{name: os.readlink(f"/proc/self/{name}") for name in _LINKS},
        **{f"namespace {name}": os.readlink(f"/proc/self/ns/{name}") for name in os.listdir("/proc/self/ns")},
        **_descriptors(frozenset(without)),
        "children": str(has_children()),
        "dumpable": str(dumpable()),
        "priority": f"{os.getpriority(os.PRIO_PROCESS, 0)} {os.sched_getscheduler(0)}",
        "session": f"{os.getsid(0)} {os.getpgid(0)}",
        "timers": str([signal.getitimer(timer) for timer in _TIMERS]),
    }


def has_children() -> bool:
    """Whether the calling process has a child, alive or not yet waited for; waitid(2)."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def memory_bytes() -> int:
    """How much memory the calling process has that belongs to no file, shared with its parent or not."""
    return int(proc.status_fields("self")["RssAnon"].split()[0]) << 10


def _descriptors(without: frozenset[int]) -> dict[str, str]:
    found = {}
    for fd in os.listdir("/proc/self/fd"):
        if int(fd) not in without:
            try:
                found[f"descriptor {fd}"] = os.readlink(f"/proc/self/fd/{fd}")
            except FileNotFoundError:  # that of the listing itself
                continue
    return found
