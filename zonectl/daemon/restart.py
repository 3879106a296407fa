"""Whether and when a zone that has ended is started again: pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zonectl.model.config import Restart

if TYPE_CHECKING:
    from zonectl.kernel.process import ExitStatus

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 60.0
HEALTHY_S = 10.0
"""A zone that has run this long has come up: the next delay is the first one again."""

_DOUBLINGS = 10  # 0.1 s · 2^10 is past the longest


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Start the zone again after `delay_s`; it is the `failures`-th end in a row."""

    delay_s: float
    failures: int


def decide(
    policy: Restart, ended: ExitStatus, *, by_user: bool, ran_s: float, failures: int
) -> Decision | None:
    """Whether to start the zone again; None if not.

    An end that nobody saw counts as a failure. The delay doubles with each of `failures` ends in a row, from 100 ms to
    a minute.
    """
    if by_user or policy is Restart.NO or (policy is Restart.ON_FAILURE and ended.status == 0):
        return None
    count = 1 if ran_s >= HEALTHY_S else failures + 1
    delay_s = FIRST_DELAY_S * 2 ** min(count - 1, _DOUBLINGS)
    return Decision(delay_s=min(delay_s, LONGEST_DELAY_S), failures=count)
