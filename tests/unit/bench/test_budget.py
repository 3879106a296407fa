"""When a budget is broken for certain, when it is kept, and when neither can be told."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.unit.bench.made import GROUPS, made_run
from zonectl.bench import budget
from zonectl.bench.budget import Standing
from zonectl.config import parse
from zonectl.errors import BenchError
from zonectl.model.config import BudgetConfig

if TYPE_CHECKING:
    from zonectl.bench.results import Run

WIDE = (0.9, 1.1) * 10


def run(limits: dict[str, str], **measured: tuple[float, ...]) -> Run:
    """A run of twenty rounds in which bare metal always took 1 ms; `measured` is the zone in milliseconds."""
    bare, control = (1.0,) * 20, (1.0, 1.01) * 10
    made = made_run(
        {name: {"bare": bare, "control": control, "zone": zone} for name, zone in measured.items()}
    )
    return replace(made, budget=limits)


def standings(found: Run) -> dict[str, Standing]:
    return {f"{each.key} {each.workload}": each.standing for each in budget.judge(found)}


@pytest.mark.parametrize(
    ("ms", "standing"),
    [
        ((1.02,) * 20, Standing.KEPT),
        ((0.5,) * 20, Standing.KEPT),
        ((1.04,) * 20, Standing.BROKEN),
        (WIDE, Standing.UNCLEAR),
        ((2.0,) * 5, Standing.UNCLEAR),  # too few rounds for certainty
    ],
)
def test_a_percentage(ms: tuple[float, ...], standing: Standing) -> None:
    found = run({"cpu": "3%"}, integer=ms)
    assert standings(found) == {"cpu integer": standing}
    assert budget.broken(budget.judge(found)) is (standing is Standing.BROKEN)


def test_what_lies_below_the_noise_is_not_certain() -> None:
    """The control was 1 % off."""
    assert standings(run({"cpu": "0.5%"}, integer=(1.008,) * 20)) == {"cpu integer": Standing.UNCLEAR}
    assert standings(run({"cpu": "0.5%"}, integer=(1.001,) * 20)) == {"cpu integer": Standing.UNCLEAR}
    assert standings(run({"cpu": "0.5%"}, integer=(1.012,) * 20)) == {"cpu integer": Standing.BROKEN}


def test_without_a_control_no_percentage_is_certain() -> None:
    made = made_run({"integer": {"bare": (1.0,) * 20, "zone": (2.0,) * 20}})
    assert standings(replace(made, budget={"cpu": "3%"})) == {"cpu integer": Standing.UNCLEAR}


@pytest.mark.parametrize(
    ("ms", "standing"),
    [
        ((49.0, 50.0) * 10, Standing.KEPT),
        ((50.4,) * 20, Standing.BROKEN),  # a command has no control
        ((51.0,) * 20, Standing.BROKEN),
        ((45.0, 55.0) * 10, Standing.UNCLEAR),
        ((90.0,) * 5, Standing.UNCLEAR),
    ],
)
def test_a_time(ms: tuple[float, ...], standing: Standing) -> None:
    found = run({"start": "50ms"}, **{"zonectl start": ms})
    assert standings(found) == {"start zonectl start": standing}
    assert budget.judge(found)[0].value == pytest.approx(sorted(ms)[len(ms) // 2] * 1e6, rel=0.2)


def test_a_group_is_all_its_workloads() -> None:
    found = run({"cpu": "3%"}, integer=(1.0,) * 20, floating=(1.2,) * 20, getpid=(3.0,) * 20)
    assert standings(found) == {"cpu integer": Standing.KEPT, "cpu floating": Standing.BROKEN}


def test_a_workloads_own_budget_goes_before_its_groups() -> None:
    found = run({"cpu": "3%", "workload.floating": "30%"}, integer=(1.0,) * 20, floating=(1.2,) * 20)
    assert standings(found) == {"cpu integer": Standing.KEPT, "workload.floating floating": Standing.KEPT}


def test_what_was_not_measured_is_told_and_breaks_nothing() -> None:
    found = run({"network": "3%", "start": "5ms", "workload.getpid": "1%", "cpu": "0%"})
    assert standings(found) == {
        "network network": Standing.MISSING,
        "start start": Standing.MISSING,
        "workload.getpid getpid": Standing.MISSING,
        "cpu cpu": Standing.MISSING,
    }
    assert not budget.broken(budget.judge(found))


def test_from_a_zone_file_into_a_document() -> None:
    text = (
        'name = "web"\n[root]\nimage = "busybox"\n[budget]\ncpu = "3 %"\nsyscalls = "12.50%"\n'
        'start = "0.05s"\nworkload = { getpid = "40%" }\n'
    )
    config = parse(text, file="web.toml", folder="/").budget
    expected = {"cpu": "3%", "syscalls": "12.5%", "start": "50ms", "workload.getpid": "40%"}
    assert budget.written(config, workloads=GROUPS) == expected
    assert len(budget.judge(run(expected))) == 4


def test_no_budget() -> None:
    assert budget.written(BudgetConfig(), workloads=()) == {}
    assert budget.judge(run({}, integer=(9.0,) * 20)) == ()


def test_a_workload_that_does_not_exist() -> None:
    config = BudgetConfig(workload_percent=(("getpidd", 40.0),))
    with pytest.raises(BenchError, match="no workload 'getpidd'") as caught:
        budget.written(config, workloads=GROUPS)
    assert caught.value.hint == "did you mean getpid?"


@pytest.mark.parametrize("limits", [{"cpu": "3"}, {"start": "3%"}, {"disk": "3%"}, {"workload.x": "5ms"}])
def test_a_document_with_a_budget_that_no_zone_file_has(limits: dict[str, str]) -> None:
    with pytest.raises(BenchError, match=next(iter(limits))):
        budget.judge(run(limits))
