"""What is said of a run: ratios, floors and verdicts, and how often simulated runs are judged rightly."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonectl.bench import statistics
from zonectl.bench.statistics import Comparison, Verdict, compare, noise_floor
from zonectl.errors import BenchError

if TYPE_CHECKING:
    from collections.abc import Sequence

Rounds = list[tuple[float, ...]]

sample = st.floats(0.5, 2e9)
pairs = st.lists(
    st.tuples(*[st.lists(sample, min_size=1, max_size=3).map(tuple)] * 2), min_size=1, max_size=15
)


def rounds(values: Sequence[float]) -> Rounds:
    return [(value * 0.9, value * 1.1) for value in values]


def test_a_round_counts_by_the_mean_of_its_samples() -> None:
    found = compare([(1, 3)] * 6, [(2, 2, 5)] * 6, floor=0)
    assert (found.ratio, found.low, found.high) == (1.5, 1.5, 1.5)


def test_ratios_are_of_the_same_round() -> None:
    """The machine becomes ten times as slow meanwhile; what is compared stays 2 % apart."""
    drift = [1.6**step for step in range(8)]
    found = compare(rounds(drift), rounds([1.02 * each for each in drift]), floor=0.001)
    assert found.ratio == pytest.approx(1.02)
    assert (found.low, found.high) == pytest.approx((1.02, 1.02))
    assert found.p_value > 0.5  # who ignores the pairs sees nothing
    assert found.verdict is Verdict.WITHIN
    assert found.differs


def test_a_round_of_one_side_alone_does_not_count() -> None:
    found = compare([(1,)] * 8, [(2,)] * 7, floor=0)
    assert found.rounds == 7


@pytest.mark.parametrize(
    ("reference", "measured"),
    [([], []), ([(1,)], []), ([(1,)], [()]), ([(0,)], [(1,)]), ([(1,)], [(-1,)]), ([(1,)], [(math.nan,)])],
)
def test_what_cannot_be_compared(reference: Rounds, measured: Rounds) -> None:
    with pytest.raises(BenchError):
        compare(reference, measured, floor=0)


@pytest.mark.parametrize(
    ("low", "high", "floor", "verdict"),
    [
        (0.99, 1.03, 0.01, Verdict.WITHIN),
        (0.90, 0.95, 0.01, Verdict.WITHIN),  # a gain
        (0.99, 1.031, 0.01, Verdict.UNCLEAR),
        (1.029, 1.05, 0.01, Verdict.UNCLEAR),
        (1.031, 1.05, 0.01, Verdict.ABOVE),
        (1.031, 1.05, 0.03, Verdict.ABOVE),
        (1.031, 1.05, 0.04, Verdict.UNCLEAR),  # the control was as far off
        (1.05, 1.2, 0.04, Verdict.ABOVE),
        (1.00, 1.01, 0.04, Verdict.UNCLEAR),  # neither could a loss of 4 % be seen
    ],
)
def test_verdicts(low: float, high: float, floor: float, verdict: Verdict) -> None:
    assert statistics.judge(low, high, floor=floor, limit=0.03, rounds=20) is verdict
    assert statistics.judge(low, high, floor=floor, limit=0.03, rounds=5) is Verdict.UNCLEAR


def test_below_the_floor_neither_a_loss_nor_a_gain_is_claimed() -> None:
    same = [(100.0,)] * 10
    for factor, differs in ((1.02, True), (1.009, False), (0.991, False), (0.98, True)):
        found = compare(same, [(100 * factor,)] * 10, floor=0.01)
        assert found.differs is differs
    assert not compare(same[:5], [(200,)] * 5, floor=0.01).differs


def test_a_told_verdict_needs_no_more_rounds() -> None:
    assert compare([(1,)] * 10, [(1.5,)] * 10, floor=0.01).rounds_needed is None


def test_few_rounds_need_six() -> None:
    assert compare([(1,)] * 2, [(1.5,)] * 2, floor=0.01).rounds_needed == 6


def test_what_lies_on_the_limit_is_never_told() -> None:
    found = compare([(1,)] * 11, [(1.03 + step / 200,) for step in range(-5, 6)], floor=0.01)
    assert found.verdict is Verdict.UNCLEAR
    assert found.rounds_needed is None


def test_as_many_rounds_as_are_needed_tell() -> None:
    """The forecast is rough; four times as many must do for nearly all."""
    lots = random.Random(3)
    forecasts = [simulated(lots, count=10, loss=0.06).rounds_needed for _ in range(60)]
    needed = [each for each in forecasts if each is not None and each <= 100]
    assert len(needed) >= 20
    found = [simulated(lots, count=4 * each, loss=0.06) for each in needed]
    assert sum(each.verdict is Verdict.ABOVE for each in found) >= 0.9 * len(found)


def test_the_floor_is_how_far_the_control_is_off() -> None:
    bare = [(100.0,)] * 6
    assert noise_floor(bare, bare) == 0
    assert noise_floor(bare, [(100,), (101,), (99,), (100,), (102,), (100,)]) == pytest.approx(0.02)
    assert noise_floor(bare, [(95,)] * 6) == pytest.approx(1 / 0.95 - 1)


@given(pairs.filter(lambda found: len(found) % 2))
def test_the_other_way_round_it_is_the_reciprocal(found: list[tuple[tuple[float, ...], ...]]) -> None:
    """Of an odd number of rounds: the median of an even one is a mean, whose reciprocal is not the mean of two."""
    before, after = [pair[0] for pair in found], [pair[1] for pair in found]
    there, back = compare(before, after, floor=0), compare(after, before, floor=0)
    assert back.ratio == pytest.approx(1 / there.ratio)
    assert (back.low, back.high) == pytest.approx((1 / there.high, 1 / there.low))
    assert back.p_value == pytest.approx(there.p_value)
    assert noise_floor(before, after) == pytest.approx(noise_floor(after, before))


@given(pairs, st.floats(1e-3, 1e3), st.randoms())
def test_units_and_the_order_of_rounds_do_not_matter(
    found: list[tuple[tuple[float, ...], ...]], scale: float, lots: random.Random
) -> None:
    plain = compare([pair[0] for pair in found], [pair[1] for pair in found], floor=0.01)
    lots.shuffle(found)
    other = compare(
        [tuple(each * scale for each in pair[0]) for pair in found],
        [tuple(each * scale for each in pair[1]) for pair in found],
        floor=0.01,
    )
    assert (other.ratio, other.low, other.high) == pytest.approx((plain.ratio, plain.low, plain.high))


def simulated(
    lots: random.Random, *, count: int, loss: float, luck: float = 0.005, lasts: int = 1
) -> Comparison:
    """A run of a machine that drifts by 3 % from round to round and is preempted in one sample of ten.

    Each process has luck of its own, for so many rounds.
    """
    arms: dict[str, Rounds] = {"bare": [], "control": [], "zone": []}
    factors = {"bare": 1.0, "control": 1.0, "zone": 1 + loss}
    drift, processes = 0.0, dict.fromkeys(arms, 0.0)
    for turn in range(count):
        drift = 0.9 * drift + lots.gauss(0, 0.03)
        if turn % lasts == 0:
            processes = {arm: lots.gauss(0, luck) for arm in arms}
        for arm, taken in arms.items():
            usual = 100 * factors[arm] * math.exp(drift + processes[arm])
            taken.append(
                tuple(
                    usual
                    * math.exp(lots.gauss(0, 0.008))
                    * (lots.uniform(1.05, 3) if lots.random() < 0.1 else 1)
                    for _ in range(2)
                )
            )
    floor = noise_floor(arms["bare"], arms["control"])
    return compare(arms["bare"], arms["zone"], floor=floor)


def test_of_nothing_nothing_is_claimed() -> None:
    lots = random.Random(1)
    found = [simulated(lots, count=20, loss=0) for _ in range(300)]
    assert sum(not each.low <= 1 <= each.high for each in found) <= 0.06 * len(found)
    assert sum(each.differs for each in found) <= 0.05 * len(found)
    assert not any(each.verdict is Verdict.ABOVE for each in found)


def test_the_floor_guards_where_processes_live_for_several_rounds() -> None:
    """Then rounds are not independent, and intervals too narrow: more than 5 in 100 miss, but nothing is claimed."""
    lots = random.Random(2)
    found = [simulated(lots, count=20, loss=0, luck=0.02, lasts=4) for _ in range(300)]
    assert sum(not each.low <= 1 <= each.high for each in found) > 0.1 * len(found)
    assert sum(each.differs for each in found) <= 0.05 * len(found)


def test_a_loss_of_5_in_100_is_found() -> None:
    lots = random.Random(4)
    found = [simulated(lots, count=40, loss=0.05) for _ in range(100)]
    assert sum(each.verdict is Verdict.ABOVE for each in found) >= 90
    assert not any(each.verdict is Verdict.WITHIN for each in found)


def test_what_is_on_the_limit_is_called_within_or_above_rarely() -> None:
    lots = random.Random(5)
    found = [simulated(lots, count=20, loss=0.03) for _ in range(200)]
    assert sum(each.verdict is Verdict.WITHIN for each in found) <= 0.05 * len(found)
    assert sum(each.verdict is Verdict.ABOVE for each in found) <= 0.05 * len(found)
