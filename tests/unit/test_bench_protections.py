"""What tools/bench_protections.py makes of its samples; what it measures, no test can say."""

from __future__ import annotations

import argparse
import random
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools import bench_protections as bench
from zonectl import config
from zonectl.bench.bootstrap import Interval
from zonectl.planning.protections import waivers


def test_a_round_goes_there_and_back_and_each_begins_with_another_arm() -> None:
    assert bench.order(["a", "b"], 0) == ["a", "b", "b", "a"]
    assert bench.order(["a", "b"], 1) == ["b", "a", "a", "b"]
    assert bench.order(["a", "b", "c"], 5) == ["c", "a", "b", "b", "a", "c"]


@given(st.integers(2, 7), st.integers(-4, 100))
def test_no_arm_is_earlier_than_another_in_a_round(count: int, turn: int) -> None:
    names = [str(number) for number in range(count)]
    places = {
        name: [at for at, other in enumerate(bench.order(names, turn)) if other == name] for name in names
    }
    assert {sum(each) for each in places.values()} == {2 * count - 1}
    assert all(len(each) == 2 for each in places.values())


@pytest.mark.parametrize("each", [False, True])
def test_an_arm_waives_what_it_lacks_and_nothing_else(each: bool) -> None:
    arms = bench.arms(each=each)
    assert set(arms) == {"none", "all", "none again", *(bench.WAIVERS if each else ())}
    for arm, lines in arms.items():
        text = bench.ZONE_FILE.format(name="arm0", root="/srv/root", waivers="\n".join(lines))
        zone = config.parse(text, file="arm0.toml", folder="/srv")
        waived = {waiver.name.removeprefix("security.") for waiver in waivers(zone)}
        lacking = set(bench.WAIVERS) - ({arm} if arm in bench.WAIVERS else set())
        keys = {next(iter(tomllib.loads(bench.WAIVERS[name]))) for name in lacking}
        assert waived == (set() if arm == "all" else keys)


def _rounds(count: int, *, drift_ms: float, added: dict[str, float], noise_ms: float = 0.0) -> bench.Rounds:
    """Samples of a machine that gets slower by `drift_ms` with each run, and scatters."""
    dice, names = random.Random(3), ["none", *added]
    taken: bench.Rounds = {name: [] for name in names}
    now = 20.0
    for turn in range(count):
        seen: dict[str, list[float]] = {name: [] for name in names}
        for name in bench.order(names, turn):
            now += drift_ms
            seen[name].append(now + added.get(name, 0.0) + dice.expovariate(1) * noise_ms)
        for name, values in seen.items():
            taken[name].append(values)
    return taken


def test_a_drift_of_the_machine_is_no_difference() -> None:
    taken = _rounds(40, drift_ms=0.5, added={"all": 0.25, "none again": 0.0})
    found = {one.arm: one for one in bench.differences(taken)}
    assert set(found) == {"all", "none again"}
    assert found["all"].above_ms == pytest.approx(0.25)
    assert found["all"].where == pytest.approx((0.25, 0.25))
    assert found["none again"].where == pytest.approx((0.0, 0.0))


@pytest.mark.parametrize(("planted_ms", "answer"), [(0.3, "yes"), (0.9, "no"), (0.6, "cannot tell")])
def test_what_is_planted_is_found(planted_ms: float, answer: str) -> None:
    taken = _rounds(300, drift_ms=0.001, added={"all": planted_ms, "none again": 0.0}, noise_ms=0.5)
    where = {one.arm: one.where for one in bench.differences(taken)}
    assert where["all"].low < planted_ms < where["all"].high
    assert where["all"].high - where["all"].low < 0.3, "300 rounds are sharp enough for the question"
    lines = bench.told("whole", taken, limit_ms=0.6)
    assert lines[-1].startswith(f"at most 0.6 ms: {answer}")
    assert lines[-1] in bench.told("whole", taken, limit_ms=0.6)


@pytest.mark.parametrize(
    ("found", "control", "answer"),
    [
        ((0.1, 0.6), (-0.1, 0.1), "yes"),
        ((-0.5, -0.1), (-0.1, 0.0), "yes"),
        ((0.61, 0.9), (0.0, 0.1), "no"),
        ((0.6, 0.9), (0.0, 0.1), "cannot tell: more rounds are needed"),
        ((0.1, 0.2), (0.05, 0.1), "cannot tell: the control differs"),
        ((0.7, 0.9), (-0.2, -0.1), "cannot tell: the control differs"),
    ],
)
def test_the_answer(found: tuple[float, float], control: tuple[float, float], answer: str) -> None:
    assert bench.answer(Interval(*found), Interval(*control), limit_ms=0.6) == answer


def test_fewer_rounds_than_an_interval_needs_are_refused() -> None:
    assert bench.at_least(6)("6") == 6
    with pytest.raises(argparse.ArgumentTypeError):
        bench.at_least(6)("5")
