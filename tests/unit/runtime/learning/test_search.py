"""Finding what is needed by taking away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonectl.runtime.learning.search import least

SETS = st.sets(st.integers(0, 40))


class Workload:
    """Passes with what it needs, and counts how often it was asked; never twice about the same."""

    def __init__(self, *needs: frozenset[int]) -> None:
        self.needs = needs
        self.asked: list[frozenset[int]] = []

    def __call__(self, given: frozenset[int]) -> bool:
        assert given not in self.asked
        self.asked.append(given)
        return any(need <= given for need in self.needs)


@given(SETS, SETS)
def test_exactly_what_is_needed_is_found_in_the_given_order(needed: set[int], idle: set[int]) -> None:
    workload = Workload(frozenset(needed))
    parts = sorted(needed | idle)
    assert least([parts], workload) == tuple(sorted(needed))
    assert len(workload.asked) <= 3 * len(parts) + 1


@given(st.lists(SETS.map(frozenset), min_size=1, max_size=4), SETS)
def test_of_several_ways_one_is_found_of_which_nothing_can_be_taken(
    ways: list[frozenset[int]], idle: set[int]
) -> None:
    workload = Workload(*ways)
    found = frozenset(least([sorted(frozenset().union(*ways) | idle)], workload))
    assert found in ways
    assert not any(way < found for way in ways)


@given(st.sets(st.integers(0, 9), min_size=1), st.randoms(use_true_random=False))
def test_nothing_can_be_taken_away_though_tests_are_erratic(parts: set[int], random: object) -> None:
    """A call that is refused may lead a program another way, which needs more or less: no order in the answers."""
    answers: dict[frozenset[int], bool] = {}

    def erratic(given: frozenset[int]) -> bool:
        answers[given] = random.random() < 0.4  # type: ignore[attr-defined]
        return answers[given]

    found = frozenset(least([sorted(parts)], erratic))
    assert found == parts or answers[found]
    assert not any(answers[found - {part}] for part in found)


@pytest.mark.parametrize(
    ("needed", "of", "runs"),
    [
        (range(0), 40, 1),  # all away, and it still runs
        (range(1), 40, 12),
        (range(39, 40), 40, 7),  # a binary search: the half that cannot be idle is not asked about
        (range(2), 1, 1),
        (range(12), 12, 23),
    ],
)
def test_how_few_tests_it_takes(needed: range, of: int, runs: int) -> None:
    workload = Workload(frozenset(needed) & frozenset(range(of)))
    least([range(of)], workload)
    assert len(workload.asked) <= runs


def test_groups_are_taken_away_one_after_the_other() -> None:
    workload = Workload(frozenset({3, 12}))
    assert least([range(8), range(10, 18)], workload) == (3, 12)
    assert workload.asked[0] == frozenset(range(10, 18))
    assert frozenset({3}) in workload.asked


def test_nothing_to_take_away_is_not_asked_about() -> None:
    workload = Workload(frozenset())
    assert least([(), ()], workload) == ()
    assert workload.asked == []
