"""A time namespace for what init executes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from zonectl.errors import SyscallError
from zonectl.kernel import process

if TYPE_CHECKING:
    from zonectl.namespaces.steps.process import ShiftClocks


def apply(step: ShiftClocks) -> None:
    """Make the time namespace that an execve of this process enters (time_namespaces(7), Linux 5.6).

    Before the root is left: /proc is still the host's, and in it `self` is this process.

    Raises:
        SyscallError: ERANGE for a clock that would be negative or run out.

    """
    process.unshare(process.CLONE_NEWTIME)
    if step.text:
        offsets = os.open("/proc/self/timens_offsets", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(offsets, step.text.encode())
        except OSError as error:
            raise SyscallError("write", error.errno or 0, "/proc/self/timens_offsets") from error
        finally:
            os.close(offsets)
