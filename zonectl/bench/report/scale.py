"""Where on an axis a value stands, from 0 at the left to 1 at the right."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_LINEAR = 0.01
"""Losses up to 1 % are told apart as on a ruler; beyond, each factor of ten takes the same room."""
_TICKS = (-0.3, -0.1, -0.03, 0.0, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
_LEAST, _MOST = -0.01, 0.06
_NOTHING = 1e-12
"""Values that lie no farther apart are one."""
_FARTHEST_LOW, _FARTHEST_HIGH = -0.5, 50.0


@dataclass(frozen=True, slots=True)
class LossScale:
    """An axis of losses (0.03 for 3 %), linear about 0 and logarithmic far from it."""

    low: float
    high: float

    @staticmethod
    def around(ratios: Iterable[float]) -> LossScale:
        """The axis that has room for all the ratios, within reason, and for 0 and 3 % in any case."""
        losses = [ratio - 1 for ratio in ratios]
        low = max(_FARTHEST_LOW, min([_LEAST, *losses]))
        high = min(_FARTHEST_HIGH, max([_MOST, *losses]))
        margin = 0.03 * (_bent(high) - _bent(low))
        return LossScale(_unbent(_bent(low) - margin), _unbent(_bent(high) + margin))

    def at(self, ratio: float) -> float:
        """Where a ratio stands; what is beyond an end stands there."""
        start, end = _bent(self.low), _bent(self.high)
        return min(1.0, max(0.0, (_bent(ratio - 1) - start) / (end - start)))

    @property
    def ticks(self) -> list[float]:
        """Losses to be named on the axis, ascending."""
        return [tick for tick in _TICKS if self.low <= tick <= self.high]


@dataclass(frozen=True, slots=True)
class LinearScale:
    """An axis on which equal distances are equal differences."""

    low: float
    high: float

    @staticmethod
    def around(values: Iterable[float], *, marks: int = 4) -> LinearScale:
        """The axis that has room for 0 and all the values, and ends at round numbers."""
        found = [0.0, *values]
        reach = max(found) - min(found)
        step = _round_step(reach / marks if reach > _NOTHING else 1.0)
        low, high = math.floor(min(found) / step + 1e-9), math.ceil(max(found) / step - 1e-9)
        return LinearScale(low * step, max(high, low + 1) * step)

    def at(self, value: float) -> float:
        """Where a value stands; what is beyond an end stands there."""
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))

    def ticks(self, marks: int = 4) -> Sequence[float]:
        """Round numbers on the axis, ascending."""
        step = _round_step((self.high - self.low) / marks)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]


@dataclass(frozen=True, slots=True)
class LogScale:
    """An axis on which equal distances are equal factors; its ends are powers of ten."""

    low: float
    high: float

    @staticmethod
    def around(values: Iterable[float]) -> LogScale:
        """The axis that has room for all the values, which are above 0; at least one."""
        found = list(values)
        low, high = math.floor(math.log10(min(found))), math.ceil(math.log10(max(found)))
        return LogScale(10.0**low, 10.0 ** max(high, low + 1))

    def at(self, value: float) -> float:
        """Where a value stands; what is beyond an end stands there."""
        place = math.log(value / self.low) / math.log(self.high / self.low)
        return min(1.0, max(0.0, place))

    @property
    def ticks(self) -> list[float]:
        """The powers of ten on the axis, ascending."""
        first, last = round(math.log10(self.low)), round(math.log10(self.high))
        return [10.0**power for power in range(first, last + 1)]


def _bent(loss: float) -> float:
    return math.asinh(loss / _LINEAR)


def _unbent(place: float) -> float:
    return math.sinh(place) * _LINEAR


def _round_step(step: float) -> float:
    """The next 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(step))
    return power * next(digit for digit in (1, 2, 5, 10) if digit * power >= step * (1 - 1e-9))
