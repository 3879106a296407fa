"""Whether a machine's time is the host's: a guest whose clock runs slow would look fast."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from zonectl.bench.sampling import calibrate
from zonectl.errors import BenchError

if TYPE_CHECKING:
    from collections.abc import Callable

    from zonectl.bench.runner import Runner

WORKLOAD: Final = "spin"
_LONG_ENOUGH_NS: Final = 1e9
_FARTHEST_OFF: Final = 0.01
_REQUESTS: Final = 5
_TRIES: Final = 3
"""How often it is asked: where the host is busy a true clock's answer may be late; a slow one's is never early."""


def require_true(runner: Runner, *, clock: Callable[[], int] = time.monotonic_ns) -> None:
    """Compare a second of work as the guest has timed it with the host's time, `clock` in nanoseconds.

    What a request and its answer take besides, over a slow console, is measured and taken off. The least of a few is
    taken, so that no more is taken off than was spent.

    Raises:
        BenchError: it is off by more than 1 %, each time.

    """
    loops = calibrate(lambda count: runner.sample(WORKLOAD, count, {}), _LONG_ENOUGH_NS)
    besides = min(outside - inside for inside, outside in (_both(runner, 1, clock) for _ in range(_REQUESTS)))
    inside = outside = 0
    for _ in range(_TRIES):
        inside, outside = _both(runner, loops, clock)
        outside -= max(0, besides)
        if abs(inside - outside) <= outside * _FARTHEST_OFF:
            return
    raise BenchError(
        f"its clock cannot be trusted: {inside / 1e6:.0f} ms were {outside / 1e6:.0f} on the host"
    )


def _both(runner: Runner, loops: int, clock: Callable[[], int]) -> tuple[int, int]:
    """What so many loops have taken, by the guest's time and by the host's."""
    began = clock()
    inside = runner.sample(WORKLOAD, loops, {})
    return inside, clock() - began
