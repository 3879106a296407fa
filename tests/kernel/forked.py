"""Children of pytest's process, which has a thread beside it: the one that shows where a test hangs."""

from __future__ import annotations

import os
import traceback
from typing import TYPE_CHECKING

from zonectl.kernel import process

if TYPE_CHECKING:
    from collections.abc import Callable


def spawn(function: Callable[[], int]) -> int:
    """Run `function` in a child, which exits with what it returns, or with 70 and the traceback; gives its pidfd.

    By the C library's fork, which puts its locks and its list of threads in order. A raw clone takes them as they are
    at that moment, and that thread may just be starting: a child that makes threads would then wait for ever.
    Processes of zonectl's own that clone have one thread.
    """
    pid = os.fork()
    if pid == 0:
        status = 70
        try:
            status = function()
        except BaseException:  # noqa: BLE001 - a process ends here
            traceback.print_exc()
        finally:
            os._exit(status)
    return process.pidfd_open(pid)
