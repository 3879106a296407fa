"""What has changed between two runs."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.unit.bench.made import HOST, made_run
from zonectl.bench.compare import Basis, Change, Trend, compare, trend

if TYPE_CHECKING:
    from zonectl.bench.results import Host

FASTER_HOST = replace(HOST, kernel="7", versions={"zonectl": "2"})


def measured(
    zone: float, *, speed: float = 1.0, spread: float = 0.002, seed: int = 1
) -> dict[str, list[float]]:
    """A workload of twenty rounds in all arms: bare metal takes 1 ms, at that speed."""
    lots = random.Random(seed)
    arms = {"bare": 1.0, "control": 1.0, "zone": zone}
    return {arm: [lots.gauss(ms, spread) / speed for _ in range(20)] for arm, ms in arms.items()}


def changes(
    old: dict[str, list[float]], new: dict[str, list[float]], *, host: Host = HOST
) -> dict[str, Change]:
    found = compare(made_run({"getpid": old}), made_run({"getpid": new}, host=host))
    return {change.arm.name: change for change in found.changes}


def test_overheads_are_compared_whatever_the_hosts_speed() -> None:
    found = changes(measured(1.3), measured(1.1, speed=3, seed=2), host=FASTER_HOST)
    assert found.keys() == {"control", "zone"}
    zone = found["zone"]
    assert zone.basis is Basis.OVERHEAD
    assert (zone.old, zone.new) == pytest.approx((1.3, 1.1), rel=0.005)
    assert zone.low <= zone.ratio <= zone.high
    assert zone.ratio == pytest.approx(1.1 / 1.3, rel=0.01)
    assert zone.p_value < 1e-6
    assert zone.trend is Trend.FASTER
    assert found["control"].trend is Trend.SAME


def test_the_other_way_round() -> None:
    there = changes(measured(1.3), measured(1.1, seed=2))["zone"]
    back = changes(measured(1.1, seed=2), measured(1.3))["zone"]
    assert back.trend is Trend.SLOWER
    assert (back.low, back.high) == pytest.approx((1 / there.high, 1 / there.low))


def test_a_run_with_itself_has_not_changed() -> None:
    run = made_run({"getpid": measured(1.3), "integer": measured(1.0, spread=0.2)})
    found = compare(run, run)
    assert all(change.ratio == 1 for change in found.changes)
    assert {change.trend for change in found.changes} == {Trend.SAME, Trend.UNCLEAR}
    assert found.same_host
    assert (found.hosts, found.only_old, found.only_new) == ((), (), ())


def test_times_are_compared_on_the_same_host_alone() -> None:
    old, new = {"bare": [2.0] * 10}, {"bare": [1.0] * 10}
    assert changes(old, new)["bare"].basis is Basis.TIME
    assert changes(old, new)["bare"].ratio == 0.5
    assert changes(old, new, host=FASTER_HOST) == {}


def test_a_rung_is_compared_by_what_it_adds() -> None:
    rungs = {"bare": [1.0] * 10, "pid": [2.0] * 10, "user": [4.0] * 10}
    found = changes(rungs, {**rungs, "pid": [1.5] * 10, "user": [3.0] * 10})
    assert (found["pid"].old, found["pid"].new) == (2, 1.5)
    assert found["user"].ratio == 1


def test_a_rung_is_compared_with_the_nearest_below_that_both_runs_have() -> None:
    rungs = {"bare": [1.0] * 10, "pid": [2.0] * 10, "user": [4.0] * 10}
    lost = {"bare": [1.0] * 10, "user": [4.0] * 10}
    for old, new in ((rungs, lost), (lost, rungs), (lost, lost)):
        user = changes(old, new)["user"]
        assert user.basis is Basis.OVERHEAD
        assert (user.old, user.new) == (4, 4)


@pytest.mark.parametrize("blind", [0, 1])
def test_without_a_control_no_overhead_has_changed(blind: int) -> None:
    runs = [measured(1.1), measured(1.3)]
    del runs[blind]["control"]
    zone = changes(*runs)["zone"]
    assert (zone.floor, zone.trend) == (None, Trend.UNCLEAR)


def test_times_of_commands_have_no_control() -> None:
    old, new = (made_run({"zonectl start": {"zone": [ms] * 10}}) for ms in (1.0, 2.0))
    (change,) = compare(old, new).changes
    assert (change.basis, change.trend) == (Basis.TIME, Trend.SLOWER)


def test_what_one_run_alone_has() -> None:
    old = made_run({"getpid": measured(1.3), "integer": measured(1.0), "fork": {"bare": [1.0] * 6}})
    new = made_run(
        {"getpid": {**measured(1.3), "pid": [1.0] * 20}, "fork": {**measured(1.3), "pid": [1.0] * 20}}
    )
    found = compare(old, new)
    assert found.only_old == ("integer",)
    assert found.only_new == ("all in pid", "fork in control", "fork in zone")


def test_how_hosts_differ() -> None:
    found = compare(made_run({}), made_run({}, host=FASTER_HOST))
    assert found.hosts == ("kernel: 6 -> 7", "zonectl: none -> 2")
    assert not found.same_host
    assert compare(made_run({}), made_run({}, host=replace(HOST, versions={"cc": "1"}))).same_host


def test_few_rounds_tell_nothing() -> None:
    old, new = ({"bare": [1.0] * 5, "zone": [ms] * 5} for ms in (1.0, 2.0))
    assert changes(old, new)["zone"].trend is Trend.UNCLEAR


@pytest.mark.parametrize(
    ("low", "high", "floor", "expected"),
    [
        (1.02, 1.05, 0.01, Trend.SLOWER),
        (1.02, 1.05, 0.02, Trend.UNCLEAR),
        (0.95, 0.98, 0.01, Trend.FASTER),
        (0.99, 1.02, 0.01, Trend.SAME),
        (0.99, 1.02, 0.04, Trend.UNCLEAR),
        (0.96, 1.02, 0.01, Trend.UNCLEAR),
    ],
)
def test_trends(low: float, high: float, floor: float, expected: Trend) -> None:
    assert trend(low, high, floor=floor, limit=0.03) is expected


def test_two_runs_of_the_same_differ_rarely() -> None:
    lots = random.Random(5)
    found = [
        changes(measured(1.2, seed=lots.getrandbits(32)), measured(1.2, seed=lots.getrandbits(32)))["zone"]
        for _ in range(40)
    ]
    assert sum(not each.low <= 1 <= each.high for each in found) <= 4
    assert sum(each.trend in {Trend.SLOWER, Trend.FASTER} for each in found) == 0
