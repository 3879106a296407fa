"""Paired ratios and what may be said of them. Standard library only.

A round's value of an arm is the mean of its samples in that round; values are compared within a round, as a ratio, and
the rounds' ratios are told by their median and its interval (`bootstrap`). What may be claimed of them is bounded by
the control's ratio, which is 1 in truth: its interval's reach is the noise floor. The test of Mann and Whitney ignores
the pairs, and is printed for who knows it; no verdict hangs on it.

Source: docs/adr/0101-statistics-of-the-benchmark.md.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zonectl.bench.bootstrap import LEAST_VALUES, Interval, interval, median
from zonectl.bench.ranks import mann_whitney
from zonectl.errors import BenchError

if TYPE_CHECKING:
    from collections.abc import Sequence

LIMIT = 0.03  # the question: is the loss within 3 %?
LEAST_ROUNDS = LEAST_VALUES
"""With fewer nothing is claimed: no interval of so few values holds a median at 95 %."""
_MOST_ROUNDS = 100_000
"""More than anybody would run: what would take more lies on the limit."""
_REACH = 0.98
"""1.96 deviations of the share of values below the median, which is 0.5 / sqrt(n)."""


class Verdict(enum.StrEnum):
    """The answer to "within 3 %?"."""

    WITHIN = "within 3 %"  # the whole interval is below, and so is the noise floor
    ABOVE = "above 3 %"  # the whole interval is above, and above the noise floor
    UNCLEAR = "cannot tell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One series against another of the same rounds. Ratios: above 1 is slower."""

    ratio: float  # median of the ratios within a round
    low: float  # bootstrap interval of that median, 95 %
    high: float
    p_value: float  # Mann-Whitney U, two-sided, of the rounds' values
    rounds: int
    floor: float | None  # the control's: deviations from 1 below it are not claimed; None: nothing is
    verdict: Verdict
    rounds_needed: (
        int | None
    )  # about how many would tell; None if it is told, lies on the limit, or has no floor

    @property
    def differs(self) -> bool:
        """Whether a difference may be claimed at all, be it a loss or a gain: all of the interval is past the floor."""
        if self.floor is None or self.rounds < LEAST_ROUNDS:
            return False
        return self.low > 1 + self.floor or self.high < 1 / (1 + self.floor)


def compare(
    reference: Sequence[Sequence[float]],
    measured: Sequence[Sequence[float]],
    *,
    floor: float | None,
    limit: float = LIMIT,
) -> Comparison:
    """What `measured` costs over `reference`: for each, the samples of each round, in the same order of rounds.

    Without a control there is no `floor` (None), and nothing is claimed.

    A round that only one of them has, as when a run is broken off, does not count. For the marginal cost of a rung of
    the ladder the reference is the rung below.

    Raises:
        BenchError: they have no round in common, or a sample is not a positive number.

    """
    before, after = _paired(reference, measured)
    ratios = [slow / fast for fast, slow in zip(before, after, strict=True)]
    found = interval(ratios)
    verdict = judge(found.low, found.high, floor=floor, limit=limit, rounds=len(ratios))
    return Comparison(
        ratio=median(ratios),
        low=found.low,
        high=found.high,
        p_value=mann_whitney(before, after),
        rounds=len(ratios),
        floor=floor,
        verdict=verdict,
        rounds_needed=None
        if floor is None or verdict is not Verdict.UNCLEAR
        else _needed(ratios, found, floor=floor, limit=limit),
    )


def noise_floor(reference: Sequence[Sequence[float]], control: Sequence[Sequence[float]]) -> float:
    """How far from 1 the interval of the control's ratio reaches: 0.004 for 0.4 %. The same with the sides exchanged.

    Raises:
        BenchError: as `compare`.

    """
    before, after = _paired(reference, control)
    low, high = interval([slow / fast for fast, slow in zip(before, after, strict=True)])
    return max(high, 1 / low) - 1


def judge(low: float, high: float, *, floor: float | None, limit: float, rounds: int) -> Verdict:
    """Where an interval of a ratio lies: within the limit, above it, or neither for certain.

    A floor above the limit hides what is to be seen: then nothing is within, and above is what rises above the floor.
    One that is not known (None) may be as high as it likes.
    """
    if floor is None or rounds < LEAST_ROUNDS:
        return Verdict.UNCLEAR
    if high <= 1 + limit and floor <= limit:
        return Verdict.WITHIN
    return Verdict.ABOVE if low > 1 + max(limit, floor) else Verdict.UNCLEAR


def values(rounds: Sequence[Sequence[float]]) -> list[float]:
    """Each round's value: the mean of its samples.

    Raises:
        BenchError: a round has no sample, or one that is not a positive number.

    """
    means = [math.fsum(samples) / len(samples) if samples else math.nan for samples in rounds]
    if not all(0 < mean < math.inf for mean in means):
        raise BenchError("a round without samples, or a sample that is not a positive number")
    return means


def _paired(
    reference: Sequence[Sequence[float]], measured: Sequence[Sequence[float]]
) -> tuple[list[float], list[float]]:
    common = min(len(reference), len(measured))
    if not common:
        raise BenchError("there is no round in which both were measured")
    return values(reference[:common]), values(measured[:common])


def _needed(ratios: Sequence[float], found: Interval, *, floor: float, limit: float) -> int | None:
    """About how many rounds would tell, if their ratios are distributed as those that there are.

    The interval of n rounds reaches from the quantile 1/2 - 0.98/sqrt(n) to its counterpart; the floor shrinks with it.
    Where the ratios lie close together that is as 1/sqrt(n), with far outliers it is faster at first.
    """
    ordered, rounds = sorted(ratios), max(LEAST_ROUNDS, len(ratios) + 1)
    while rounds <= _MOST_ROUNDS:
        reach = _REACH / math.sqrt(rounds)
        low, high = _quantile(ordered, 0.5 - reach), _quantile(ordered, 0.5 + reach)
        width = found.high - found.low
        shrunk = (high - low) / width if width else math.sqrt(len(ratios) / rounds)
        if judge(low, high, floor=floor * shrunk, limit=limit, rounds=rounds) is not Verdict.UNCLEAR:
            return rounds
        rounds += max(1, rounds // 20)
    return None


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Between the values on both sides in proportion; values stand in the middle of their shares."""
    place = min(max(share * len(ordered) - 0.5, 0), len(ordered) - 1)
    before = math.floor(place)
    after = min(before + 1, len(ordered) - 1)
    return ordered[before] + (place - before) * (ordered[after] - ordered[before])
