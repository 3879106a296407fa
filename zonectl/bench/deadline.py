"""When the time of a run is over: one deadline for all that it measures, of which each part has its share."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from zonectl.bench.results import Missing

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """The moment of the clock at which the time is over; None: it never is."""

    at_s: float | None
    clock: Callable[[], float] = time.monotonic

    def left_s(self) -> float | None:
        """What is left of the time: 0 when it is over, None where it has no end."""
        return None if self.at_s is None else max(0.0, self.at_s - self.clock())

    def bound(self, seconds: float | None) -> float | None:
        """So much time, or less; None, which nobody knows, stays None."""
        return None if seconds is None else self.within(seconds)

    def within(self, seconds: float) -> float:
        """So much time, or what is left."""
        left = self.left_s()
        return seconds if left is None else min(seconds, left)

    def share(self, part: float) -> Deadline:
        """The deadline of what may have this part of the time that is left now; what it leaves is the next one's."""
        left = self.left_s()
        return self if left is None else Deadline(at_s=self.clock() + left * part, clock=self.clock)

    def watch(self) -> None:
        """See that there is time.

        Raises:
            TimeIsUpError: there is none any more.

        """
        if self.left_s() == 0.0:
            raise TimeIsUpError


NEVER: Final = Deadline(at_s=None)
"""For what takes as long as it takes."""


def starting(seconds: float | None, clock: Callable[[], float] = time.monotonic) -> Deadline:
    """So many seconds from now; None: never."""
    return NEVER if seconds is None else Deadline(at_s=clock() + seconds, clock=clock)


BEFORE_THE_FIRST: Final = "the time was over before its first round"


def further(name: str, *, done: int, wanted: int) -> Missing:
    """What to say of rounds of `name`, "further rounds" as a rule, for which there was no time."""
    return Missing(name=name, reason=f"the time was over after {done} of {wanted}")


class TimeIsUpError(Exception):
    """The deadline has passed. Never leaves what is measured: that is then what there is."""
