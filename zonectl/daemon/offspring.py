"""Children of zoned: forked with nothing of zoned's but what they are given."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from zonectl.kernel import process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_CAUGHT = (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)


def fork(function: Callable[[], int], *, keep: Iterable[int]) -> int:
    """Run `function` in a child that has the descriptors `keep` and 0..2 and signals as at its start; gives its pid.

    The child shares zoned's heap, its objects with closed descriptors among it: they are never collected, since the
    frames that hold them are never left.
    """
    kept = sorted(set(keep))
    pid, pidfd = process.spawn(lambda: _child(function, kept))
    os.close(pidfd)
    return pid


def _child(function: Callable[[], int], kept: list[int]) -> int:
    process.close_all_but(kept, first=3)
    signal.set_wakeup_fd(-1)
    for signum in _CAUGHT:
        signal.signal(signum, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return function()
