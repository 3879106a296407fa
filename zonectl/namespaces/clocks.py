"""A time namespace for what init executes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.kernel import process

if TYPE_CHECKING:
    from zonectl.namespaces.steps.process import ShiftClocks


def apply(step: ShiftClocks) -> None:
    """Make the time namespace that an execve of this process enters (time_namespaces(7), Linux 5.6).

    Before the root is left: /proc is still the host's, and in it `self` is this process.
    """
    process.unshare(process.CLONE_NEWTIME)
    if step.text:
        with open("/proc/self/timens_offsets", "w", encoding="ascii") as offsets:
            offsets.write(step.text)
