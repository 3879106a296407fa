"""Whether a machine's time is the host's: a guest whose clock runs slow would look fast."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from zonectl.bench.sampling import calibrate
from zonectl.errors import BenchError

if TYPE_CHECKING:
    from zonectl.bench.runner import Runner

WORKLOAD: Final = "spin"
_LONG_ENOUGH_NS: Final = 1e9
_FARTHEST_OFF: Final = 0.01
_OF_THE_REQUEST_NS: Final = 20e6
"""What a request and its answer may take besides, over a slow console."""


def require_true(runner: Runner) -> None:
    """Compare a second of work as the guest has timed it with the host's time.

    Raises:
        BenchError: it is off by more than 1 %.

    """
    loops = calibrate(lambda count: runner.sample(WORKLOAD, count, {}), _LONG_ENOUGH_NS)
    began = time.monotonic_ns()
    inside = runner.sample(WORKLOAD, loops, {})
    outside = time.monotonic_ns() - began
    margin = outside * _FARTHEST_OFF
    if not outside - margin - _OF_THE_REQUEST_NS <= inside <= outside + margin:
        raise BenchError(
            f"its clock cannot be trusted: {inside / 1e6:.0f} ms were {outside / 1e6:.0f} on the host"
        )
