"""Paired ratios and what may be said of them. Standard library only."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

LIMIT = 0.03  # the question: is the loss within 3 %?


class Verdict(enum.StrEnum):
    """The answer to "within 3 %?"."""

    WITHIN = "within 3 %"  # the whole interval is below
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
    floor: float  # the control's: deviations from 1 below it are not claimed
    verdict: Verdict
    rounds_needed: int | None  # about how many rounds would tell; None if it is told


def compare(
    reference: Sequence[Sequence[float]],
    measured: Sequence[Sequence[float]],
    *,
    floor: float,
    limit: float = LIMIT,
) -> Comparison:
    """What `measured` costs over `reference`: for each, the samples of each round, in the same order of rounds."""
    raise NotImplementedError


def noise_floor(reference: Sequence[Sequence[float]], control: Sequence[Sequence[float]]) -> float:
    """How far from 1 the interval of the control's ratio reaches: 0.004 for 0.4 %."""
    raise NotImplementedError
