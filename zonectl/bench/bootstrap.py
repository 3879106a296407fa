"""What a sample says of the median it was drawn from: the bootstrap, without drawing lots.

The bootstrap draws n values out of the n with replacement and takes their median, again and again. For a median the
outcome can be counted instead: which of the ordered values it falls on depends on n alone. So the same input gives the
same output, there is no seed, and no error of resampling.

Its percentile interval is lumpy, as its ends are order statistics: for values that are drawn independently it holds the
median in 87.5 % of cases at n = 7, 90.8 % at 13, 92.2 % at 21, whatever their distribution. `interval` widens it to the
order statistics of the sign test where it is narrower: at least 95 % from 6 values on (93.8 % at 5, where even the
whole range holds no more), 95.1 to 98.8 % exactly up to 60. BCa is no way out: its acceleration is estimated by leaving
out one value after the other, which moves a median by one of two amounts only.

Source: Efron, "Bootstrap methods: another look at the jackknife" (1979), 3; David and Nagaraja, "Order Statistics",
7.1; docs/adr/0101-statistics-of-the-benchmark.md.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAST_VALUES = 6
"""With fewer, not even the whole range holds the median at that level: 1 - 2 / 2**n."""

_TAILS = 40
"""What is cut off on each side is one of so many parts."""
_NOTHING = 1e-12
"""Probabilities below it are left out: of a median among thousands of values all but the middle ones."""
_FAR = 4.5
"""Times the square root of the number of draws, which is two deviations at least: farther out there is nothing."""


class Interval(NamedTuple):
    """Two ends, both of which belong to it."""

    low: float
    high: float


Weighted: TypeAlias = list[tuple[float, float]]
"""A distribution: values, ascending, each with its probability."""


def median(values: Sequence[float]) -> float:
    """The middle one, or the mean of the two in the middle. At least one value."""
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(values) % 2 else (ordered[half - 1] + ordered[half]) / 2


def interval(values: Sequence[float]) -> Interval:
    """Where the median lies that the values were drawn from, at 95 %; fewer than six give their whole range."""
    ordered = sorted(values)
    outer = _sign_rank(len(ordered))
    low, high = percentiles(medians(ordered))
    return Interval(min(low, ordered[outer]), max(high, ordered[-1 - outer]))


def medians(values: Sequence[float]) -> Weighted:
    """The bootstrap distribution of the median."""
    ordered = sorted(values)
    return sorted(((ordered[low] + ordered[high]) / 2, weight) for low, high, weight in _places(len(ordered)))


def percentiles(distribution: Weighted) -> Interval:
    """What cuts off 2.5 % on each side."""
    return Interval(
        _quantile(distribution, 1 / _TAILS),
        _quantile([(value, weight) for value, weight in reversed(distribution)], 1 / _TAILS),
    )


def ratios(above: Weighted, below: Weighted, *, points: int = 50) -> Weighted:
    """The distribution of the quotient of two that do not depend on each other, by as many values of each."""
    pairs = [(a / b, 1 / points**2) for a in _spread(above, points) for b in _spread(below, points)]
    return sorted(pairs)


def _spread(distribution: Weighted, points: int) -> list[float]:
    """Values of equal probability in place of weighted ones."""
    spread: list[float] = []
    passed = 0.0
    for value, weight in distribution:
        passed += weight
        while len(spread) < points and passed >= (len(spread) + 0.5) / points - _NOTHING:
            spread.append(value)
    return spread


def _quantile(distribution: Weighted, share: float) -> float:
    """The first value at which so much has been passed."""
    passed = 0.0
    for value, weight in distribution:
        passed += weight
        if passed >= share - _NOTHING:
            return value
    return distribution[-1][0]  # what was left out as nothing is missing at the end


@lru_cache(maxsize=64)
def _sign_rank(count: int) -> int:
    """How many values can be cut off on each side before the rest holds the median in less than 95 % of cases."""
    if count < LEAST_VALUES:
        return 0
    cut, chances, passed = 0, 1, 1  # of 2**count equal ones
    while passed * _TAILS <= 2**count:
        cut += 1
        chances = chances * (count - cut + 1) // cut
        passed += chances
    return cut - 1


@lru_cache(maxsize=64)
def _places(count: int) -> tuple[tuple[int, int, float], ...]:
    """Between which of the ordered values, counted from 0, the median of a resample lies, each with its probability."""
    if count % 2:
        return tuple(
            (place, place, weight)
            for place in range(count)
            if (weight := _reached(count, count // 2 + 1, place)) > _NOTHING
        )
    return tuple(pair for low in range(count) for pair in _pairs(count, low))


def _pairs(count: int, low: int) -> list[tuple[int, int, float]]:
    """Those of an even number whose lower middle value is at `low`.

    With i < j: half the draws fall up to i, one of them on it, and half from j on, one of them on it.
    """
    half = count // 2
    left = _reached(count, half, low)
    if left <= _NOTHING:
        return []
    draws = math.lgamma(count + 1) - 2 * math.lgamma(half + 1)
    up_to = _last(low + 1, count, half)
    pairs = []
    for high in range(low + 1, count):
        weight = math.exp(draws + up_to + _last(count - high, count, half))
        if weight <= _NOTHING:
            break
        pairs.append((low, high, weight))
        left -= weight
    return [(low, low, max(0.0, left)), *pairs]


def _last(values: int, count: int, draws: int) -> float:
    """The logarithm of the probability that all draws are of the first `values` of `count`, and one is the last."""
    return draws * math.log(values / count) + math.log1p(-((1 - 1 / values) ** draws))


def _reached(count: int, rank: int, place: int) -> float:
    """The probability that the `rank`th smallest of a resample is the value at `place`."""
    return _at_least(count, rank, place + 1) - _at_least(count, rank, place)


@lru_cache(maxsize=4096)
def _at_least(count: int, rank: int, values: int) -> float:
    """The probability that `rank` or more of the draws are of the first `values` of `count`."""
    far = _FAR * math.sqrt(count)
    if values in {0, count} or abs(values - rank) > far:
        return float(values > rank or values == count)
    yes, no = math.log(values / count), math.log1p(-values / count)
    whole = math.lgamma(count + 1)
    return math.fsum(
        math.exp(
            whole - math.lgamma(hits + 1) - math.lgamma(count - hits + 1) + hits * yes + (count - hits) * no
        )
        for hits in range(rank, min(count, math.ceil(values + far)) + 1)
    )
