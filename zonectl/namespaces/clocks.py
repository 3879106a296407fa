"""A time namespace for init."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.kernel import process

if TYPE_CHECKING:
    from zonectl.model.script import Script
    from zonectl.namespaces.steps.process import ShiftClocks


def write(step: ShiftClocks, script: Script) -> None:
    """Add to the script what makes a time namespace and enters it (time_namespaces(7), Linux 5.6).

    Before the root is left: /proc is still the host's, and in it `self` is init. Before the scaffold, too: who shares
    its memory with another cannot change its clocks (EUSERS).
    """
    script.unshare(process.CLONE_NEWTIME)
    if step.text:
        script.shift_clocks(step.text)
    script.enter_clocks()
