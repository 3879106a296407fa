"""The test of Mann and Whitney against SciPy's, and against all orders."""

from __future__ import annotations

from itertools import combinations
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonectl.bench.ranks import mann_whitney

numbers = st.lists(st.integers(0, 30).map(float), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("left", "right", "p_value"),
    [
        # The example of its manual page: diabetes by sex.
        ([19, 22, 16, 29, 24], [20, 11, 17, 12], 0.1111111111111111),
        # Hollander and Wolfe 1973, 69; R's wilcox.test prints the half of it, 0.1272.
        (
            [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46],
            [1.15, 0.88, 0.90, 0.74, 1.21],
            0.2544122544122544,
        ),
        (
            [i * i % 97 + i / 100 for i in range(25)],
            [i * i % 89 + i / 100 + 15.005 for i in range(30)],
            0.11452585094869748,
        ),
    ],
)
def test_counted_as_scipy_does(left: list[float], right: list[float], p_value: float) -> None:
    """scipy.stats.mannwhitneyu(left, right, method="exact"), SciPy 1.17.1."""
    assert mann_whitney(left, right) == pytest.approx(p_value, rel=1e-12)


@pytest.mark.parametrize(
    ("left", "right", "p_value"),
    [
        ([1, 2, 2, 3, 3, 3, 4, 5], [3, 3, 4, 4, 5, 5, 6, 7, 7], 0.01630200829707017),
        # Without ties, and too many to count.
        (
            [i * 37 % 101 + 0.25 for i in range(60)],
            [i * 53 % 103 * 1.1 + 2 for i in range(55)],
            0.5324436178854288,
        ),
    ],
)
def test_approximated_as_scipy_does(left: list[float], right: list[float], p_value: float) -> None:
    """scipy.stats.mannwhitneyu(left, right, method="asymptotic"), SciPy 1.17.1."""
    assert mann_whitney(left, right) == pytest.approx(p_value, rel=1e-12)


@pytest.mark.parametrize(("fewer", "more"), [(1, 1), (2, 3), (4, 4), (3, 6)])
def test_counted_as_all_orders_have_it(fewer: int, more: int) -> None:
    places = range(fewer + more)
    wins = {
        left: sum(a > b for a in left for b in set(places) - set(left))
        for left in combinations(places, fewer)
    }
    for left, won in wins.items():
        right = [place for place in places if place not in left]
        extreme = sum(
            max(each, fewer * more - each) >= max(won, fewer * more - won) for each in wins.values()
        )
        expected = min(1.0, extreme / comb(fewer + more, fewer))
        assert mann_whitney(left, right) == pytest.approx(expected)


def test_equal_values_tell_nothing() -> None:
    assert mann_whitney([1, 1, 1], [1, 1]) == 1
    assert mann_whitney([1], [1]) == 1


@given(numbers, numbers)
def test_the_sides_can_be_exchanged(left: list[float], right: list[float]) -> None:
    assert 0 < mann_whitney(left, right) <= 1
    assert mann_whitney(left, right) == pytest.approx(mann_whitney(right, left))


@given(numbers, numbers)
def test_only_the_order_counts(left: list[float], right: list[float]) -> None:
    def bent(values: list[float]) -> list[float]:
        return [value**3 + 5 for value in values]

    assert mann_whitney(bent(left), bent(right)) == mann_whitney(left, right)
