"""The bootstrap of a median against SciPy's, which draws lots; and what its interval holds."""

from __future__ import annotations

import random
from collections import Counter
from itertools import product
from math import comb
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonectl.bench import bootstrap

if TYPE_CHECKING:
    from collections.abc import Callable

DARWIN = (49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48)
"""Cross- less self-fertilised maize, eighths of an inch (Darwin 1876; Fisher, "The Design of Experiments", 1935)."""

samples = st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=24)


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [
        (DARWIN, 8, 49),
        (DARWIN[:12], 11, 35),
        ((1.02, 1.03, 1.01, 1.05, 1.04, 1.30, 1.02, 1.035), 1.02, 1.05),
    ],
)
def test_as_scipy_draws_it(values: tuple[float, ...], low: float, high: float) -> None:
    """scipy.stats.bootstrap((values,), median, method="percentile", n_resamples=1_000_000), SciPy 1.17.1."""
    assert bootstrap.percentiles(bootstrap.medians(values)) == (low, high)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6])
def test_as_all_resamples_have_it(count: int) -> None:
    values = [2.0**place for place in range(count)]
    counted = Counter(bootstrap.median(drawn) for drawn in product(values, repeat=count))
    expected = {value: number / count**count for value, number in counted.items()}
    found = dict.fromkeys(expected, 0.0)
    for value, weight in bootstrap.medians(values):
        if weight > 1e-9:
            found[value] += weight
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("count", [*range(1, 60), 200, 201, 1000, 1001])
def test_it_is_a_distribution(count: int) -> None:
    assert sum(weight for _, weight in bootstrap.medians(range(1, count + 1))) == pytest.approx(1)


@pytest.mark.parametrize("count", range(bootstrap.LEAST_VALUES, 61))
def test_an_interval_holds_the_median_in_95_of_100_cases_at_least(count: int) -> None:
    """By counting: the median lies outside of the kth values when fewer than k of the others are on one side."""
    low, high = bootstrap.interval([float(place) for place in range(1, count + 1)])
    cut = min(int(low), count + 1 - int(-(-high // 1)))
    assert 1 - 2 * sum(comb(count, k) for k in range(cut)) / 2**count >= 0.95
    # Nor is it wider than need be: two values less on each side would hold it in fewer.
    assert 1 - 2 * sum(comb(count, k) for k in range(cut + 2)) / 2**count < 0.95


def lognormal(lots: random.Random) -> float:
    return lots.lognormvariate(0, 1.5)


def pareto(lots: random.Random) -> float:
    """Has no mean."""
    return lots.paretovariate(1) / 2


@pytest.mark.parametrize(("draw", "median"), [(lognormal, 1), (pareto, 1)])
@pytest.mark.parametrize(("count", "least"), [(5, 0.92), (10, 0.95), (20, 0.94), (40, 0.94)])
def test_coverage_of_skewed_values_with_heavy_tails(
    draw: Callable[[random.Random], float], median: float, count: int, least: float
) -> None:
    lots = random.Random(count)
    intervals = [bootstrap.interval([draw(lots) for _ in range(count)]) for _ in range(600)]
    assert sum(low <= median <= high for low, high in intervals) >= least * len(intervals)


def test_fewer_than_six_give_their_range() -> None:
    assert bootstrap.interval([3.0]) == (3, 3)
    assert bootstrap.interval([3.0, 9.0, 1.0, 2.0, 5.0]) == (1, 9)


@given(samples, st.randoms())
def test_the_order_does_not_matter(values: list[float], lots: random.Random) -> None:
    mixed = list(values)
    lots.shuffle(mixed)
    assert bootstrap.interval(mixed) == bootstrap.interval(values)


@given(samples)
def test_the_median_is_inside(values: list[float]) -> None:
    low, high = bootstrap.interval(values)
    assert min(values) <= low <= bootstrap.median(values) <= high <= max(values)


@given(samples, st.integers(-6, 6))
def test_the_scale_does_not_matter(values: list[float], power: int) -> None:
    low, high = bootstrap.interval(values)
    assert bootstrap.interval([value * 2.0**power for value in values]) == (
        low * 2.0**power,
        high * 2.0**power,
    )


@given(samples)
def test_turned_round_it_is_the_same(values: list[float]) -> None:
    low, high = bootstrap.interval(values)
    assert bootstrap.interval([-value for value in values]) == (-high, -low)


def test_a_quotient_of_two() -> None:
    low, high = bootstrap.percentiles(bootstrap.ratios([(6.0, 1.0)], [(2.0, 0.5), (3.0, 0.5)]))
    assert (low, high) == (2, 3)


def test_many_values_are_no_harder() -> None:
    low, high = bootstrap.interval([float(place) for place in range(5001)])
    assert (low, high) == pytest.approx((2500 - 69, 2500 + 69), abs=2)  # 1.96 times half the square root
