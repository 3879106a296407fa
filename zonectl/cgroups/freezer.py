"""Freezing: all processes of a group stop where they are (cgroup.freeze). Needs no controller. Linux 5.2.

A frozen group can be killed, and entered: what enters it stops as well.
"""

from __future__ import annotations

from zonectl.cgroups import events, files
from zonectl.errors import TimedOut

_THAW_S = 5.0


def freeze(directory: str, *, timeout_s: float) -> None:
    """Freeze the group at `directory` and all below, and wait until the kernel says that they are.

    Raises:
        TimedOut: a process did not stop in time (it sleeps in the kernel); the group has been thawed again.
        SyscallError: the group is not there.

    """
    files.write(f"{directory}/cgroup.freeze", "1")
    if not events.wait(directory, key="frozen", value=1, timeout_s=timeout_s):
        files.write(f"{directory}/cgroup.freeze", "0")
        raise TimedOut("a process did not stop", after_s=timeout_s, hint="try again; see `ps -o stat,wchan`")


def thaw(directory: str) -> None:
    """Let the group at `directory` and all below go on; groups that the zone froze itself stay frozen.

    Raises:
        TimedOut: the kernel still calls it frozen (a group above is).
        SyscallError: the group is not there.

    """
    files.write(f"{directory}/cgroup.freeze", "0")
    if not events.wait(directory, key="frozen", value=0, timeout_s=_THAW_S):
        raise TimedOut("the group did not thaw (a group above it may be frozen)", after_s=_THAW_S)


def is_frozen(directory: str) -> bool:
    """Whether the group at `directory` is frozen, by itself or from above.

    Raises:
        SyscallError: its state cannot be read.

    """
    return events.is_set(directory, "frozen")
