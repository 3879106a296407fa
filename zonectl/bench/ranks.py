"""The test of Mann and Whitney: whether one of two samples tends to be larger, whatever they are distributed like.

Source: Mann and Whitney, "On a test of whether one of two random variables is stochastically larger" (1947); the
correction for ties as in Hollander and Wolfe, "Nonparametric Statistical Methods", 4.1.
"""

from __future__ import annotations

import itertools
import math
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_COUNTED = 2500
"""Products of the sizes up to which outcomes are counted: 50 by 50 takes 40 ms, once."""


def mann_whitney(left: Sequence[float], right: Sequence[float]) -> float:
    """The two-sided p-value. Exact for samples without ties up to a size, else by the normal approximation.

    That one is corrected for ties and for continuity. Both samples have a value at least.
    """
    ranks, ties = _ranked([*left, *right])
    size = len(left), len(right)
    wins = sum(ranks[: size[0]]) - size[0] * (size[0] + 1) / 2
    most = max(wins, size[0] * size[1] - wins)
    if not ties and size[0] * size[1] <= _MOST_COUNTED:
        return min(1.0, 2 * _counted(min(size), max(size), least=math.ceil(most)))
    return _approximated(size, most, ties)


def _ranked(values: list[float]) -> tuple[list[float], list[int]]:
    """The rank of each value, equal ones sharing the mean of theirs; and how many share, for each that is shared."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks, ties = [0.0] * len(values), []
    before = 0
    for _, same in itertools.groupby(order, key=values.__getitem__):
        places = list(same)
        for place in places:
            ranks[place] = before + (len(places) + 1) / 2
        before += len(places)
        if len(places) > 1:
            ties.append(len(places))
    return ranks, ties


def _counted(fewer: int, more: int, *, least: int) -> float:
    """The share of all orders in which one side wins at least so many of the pairs."""
    counts = _orders(fewer, more)
    return sum(counts[least:]) / math.comb(fewer + more, fewer)


@lru_cache(maxsize=64)
def _orders(fewer: int, more: int) -> tuple[int, ...]:
    """In how many orders of two samples the first wins 0, 1, … pairs: the Gaussian binomial coefficient.

    It is the product of (1 - q**(more + i)) / (1 - q**i) for i up to `fewer`, each step again a polynomial.
    """
    counts = [1] + [0] * (fewer * more)
    for step in range(1, fewer + 1):
        for power in range(len(counts) - 1, more + step - 1, -1):
            counts[power] -= counts[power - more - step]
        for power in range(step, len(counts)):
            counts[power] += counts[power - step]
    return tuple(counts)


def _approximated(size: tuple[int, int], most: float, ties: list[int]) -> float:
    total, product = sum(size), size[0] * size[1]
    shared = sum(tie**3 - tie for tie in ties) / (total * (total - 1)) if total > 1 else 0.0
    deviation = math.sqrt(max(0.0, product / 12 * (total + 1 - shared)))
    if not deviation:
        return 1.0  # all values are equal
    distance = (most - product / 2 - 0.5) / deviation
    return min(1.0, math.erfc(distance / math.sqrt(2)))
