from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonectl.bench import sampling
from zonectl.bench.deadline import starting
from zonectl.bench.results import ArmFacts, Kind, Missing, WorkloadFacts
from zonectl.bench.runner import Place
from zonectl.bench.sampling import Effort, Progress, calibrate, measure, order
from zonectl.bench.workloads import Extent, Workload
from zonectl.errors import BenchError, HostLacks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def task(name: str) -> Workload:
    facts = WorkloadFacts(name=name, group="cpu", stresses="nothing", operation="call")
    return Workload(facts=facts, asks=f"ask-{name}", extent=Extent.ASKED)


class Runner:
    """Each loop takes as many nanoseconds as its arm says."""

    def __init__(self, arm: Arm) -> None:
        self.arm = arm
        self.broken = False
        self.place = Place(root_folder="/", bind_folder=None, server=None)

    def sample(self, workload: str, loops: int, settings: dict[str, str]) -> int:
        if self.broken:
            raise BenchError("it has ended")
        self.arm.log.append((self.arm.facts.name, workload, loops))
        if trouble := self.arm.trouble.get(workload):
            trouble(self)
        return loops * self.arm.cost


class Arm:
    def __init__(self, name: str, log: list[tuple[str, str, int]], *, cost: int = 1000) -> None:
        self.facts = ArmFacts(name=name, kind=Kind.LAYER, title=name, differs="")
        self.log = log
        self.cost = cost
        self.trouble: dict[str, Callable[[Runner], None]] = {}
        self.starts = 0
        self.running = 0
        self.refusal: Exception | None = None
        self.before: Callable[[], None] = lambda: None

    @contextmanager
    def start(self) -> Iterator[Runner]:
        self.before()
        if self.refusal:
            raise self.refusal
        self.starts += 1
        self.running += 1
        try:
            yield Runner(self)
        finally:
            self.running -= 1


@pytest.fixture
def log() -> list[tuple[str, str, int]]:
    return []


@pytest.fixture
def arms(log: list[tuple[str, str, int]]) -> list[Arm]:
    return [Arm("bare", log), Arm("control", log), Arm("zone", log, cost=1500)]


def refuse(reason: str) -> Callable[[Runner], None]:
    def trouble(_runner: Runner) -> None:
        raise BenchError(reason)

    return trouble


EFFORT = Effort(rounds=4, young=2, sample_s=0.001)


@given(arms=st.integers(1, 20), number=st.integers(0, 1000))
def test_each_round_is_a_palindrome_in_which_every_arm_has_two_turns(arms: int, number: int) -> None:
    turns = order(arms, number)
    assert turns == turns[::-1]
    assert sorted(turns) == sorted([*range(arms), *range(arms)])


@given(arms=st.integers(1, 20))
def test_each_arm_has_each_place_equally_often(arms: int) -> None:
    rounds = [order(arms, number) for number in range(arms)]
    assert all(sorted(column) == list(range(arms)) for column in zip(*rounds, strict=True))


@given(cost=st.floats(0.1, 1e9), overhead=st.integers(0, 100_000))
def test_calibration_reaches_the_time_and_does_not_go_far_beyond(cost: float, overhead: int) -> None:
    def sample(loops: int) -> int:
        return overhead + int(loops * cost)

    loops = calibrate(sample, 1e6)
    assert sample(loops) >= 1e6
    assert loops == 1 or sample(loops) < 20e6


def test_calibration_ends_where_time_stands_still() -> None:
    asked: list[int] = []

    def sample(loops: int) -> int:
        asked.append(loops)
        return 0

    calibrate(sample, 1e6)
    assert len(asked) < 100


def test_rounds_are_interleaved_and_paired(arms: list[Arm], log: list[tuple[str, str, int]]) -> None:
    measured = measure(arms, [task("one")], EFFORT)
    assert measured.complete
    assert not measured.missing
    assert [series.arm for series in measured.series] == ["bare", "control", "zone"]
    assert {series.workload for series in measured.series} == {"one"}
    assert {len(series.rounds) for series in measured.series} == {4}
    assert {len(samples) for series in measured.series for samples in series.rounds} == {2}
    loops = measured.series[0].loops
    full = [arm for arm, _, count in log if count == loops]
    assert full[-24:] == [
        arm
        for number in range(4)
        for index in order(3, number)
        for arm in [("bare", "control", "zone")[index]]
    ]


def test_samples_are_times_of_one_operation(arms: list[Arm]) -> None:
    bare, _, zone = measure(arms, [task("one")], EFFORT).series
    assert bare.rounds == ((1000.0, 1000.0),) * 4
    assert zone.rounds == ((1500.0, 1500.0),) * 4


def test_loops_are_calibrated_once_on_the_first_arm(arms: list[Arm], log: list[tuple[str, str, int]]) -> None:
    measured = measure(arms, [task("one"), task("two")], EFFORT)

    for name in ("ask-one", "ask-two"):
        asked = [(arm, loops) for arm, each, loops in log if each == name]
        first = next(index for index, (arm, _) in enumerate(asked) if arm != "bare")
        assert {loops for _, loops in asked[first:]} == {asked[first - 1][1], asked[first - 1][1] // 8}
    assert all(series.loops * 1000 >= 1e6 for series in measured.series)


def test_every_turn_begins_with_a_part_that_is_dropped(
    arms: list[Arm], log: list[tuple[str, str, int]]
) -> None:
    loops = measure(arms, [task("one")], EFFORT).series[0].loops
    turns = [count for _, _, count in log]
    after = turns.index(loops)
    assert turns[after + 2 :] == [loops // sampling.WARM_UP_PART, loops] * 23


def test_probes_are_young_and_all_end(arms: list[Arm]) -> None:
    measure(arms, [task("one"), task("two")], Effort(rounds=7, young=3, sample_s=0.001))
    assert [arm.starts for arm in arms] == [3, 3, 3]
    assert [arm.running for arm in arms] == [0, 0, 0]


def test_an_arm_that_cannot_be_started_is_missing_and_the_others_go_on(arms: list[Arm]) -> None:
    arms[1].refusal = HostLacks("there is none")
    measured = measure(arms, [task("one")], EFFORT)
    assert measured.complete
    assert measured.missing == (Missing(name="control", reason="there is none"),)
    assert [series.arm for series in measured.series] == ["bare", "zone"]


def test_without_the_first_arm_there_is_nothing_to_compare_to(arms: list[Arm]) -> None:
    arms[0].refusal = HostLacks("there is none")
    with pytest.raises(HostLacks):
        measure(arms, [task("one")], EFFORT)


def test_without_the_zone_there_is_nothing_to_measure(arms: list[Arm]) -> None:
    arms[2].facts = replace(arms[2].facts, kind=Kind.ZONE)
    arms[2].refusal = HostLacks("no such image")
    with pytest.raises(HostLacks):
        measure(arms, [task("one")], EFFORT)
    assert [arm.running for arm in arms] == [0, 0, 0]


@pytest.mark.parametrize("index", [0, 2])
def test_what_was_measured_before_an_arm_could_not_be_started_any_more_is_kept(
    arms: list[Arm], index: int
) -> None:
    def break_down(_runner: Runner) -> None:
        arms[index].refusal = HostLacks("disk full")

    arms[2].facts = replace(arms[2].facts, kind=Kind.ZONE)
    arms[1].trouble["ask-one"] = break_down
    measured = measure(arms, [task("one")], EFFORT)
    assert not measured.complete
    assert measured.missing == (Missing(name=("bare", "control", "zone")[index], reason="disk full"),)
    assert [len(series.rounds) for series in measured.series] == [2, 2, 2]


def test_what_cannot_be_done_in_an_arm_is_missing_there(arms: list[Arm]) -> None:
    arms[2].trouble["ask-one"] = refuse("not permitted")
    measured = measure(arms, [task("one"), task("two")], EFFORT)
    assert measured.missing == (Missing(name="one in zone", reason="not permitted"),)
    found = [(series.workload, series.arm) for series in measured.series]
    assert found == [
        ("one", "bare"),
        ("one", "control"),
        ("two", "bare"),
        ("two", "control"),
        ("two", "zone"),
    ]
    assert arms[2].starts == 2


def test_what_cannot_be_done_on_bare_metal_is_missing_everywhere(arms: list[Arm]) -> None:
    arms[0].trouble["ask-one"] = refuse("no such program")
    measured = measure(arms, [task("one"), task("two")], EFFORT)
    assert measured.missing == (Missing(name="one", reason="no such program"),)
    assert {series.workload for series in measured.series} == {"two"}


def test_a_probe_that_ends_is_started_anew_for_the_next_workload(arms: list[Arm]) -> None:
    def die(runner: Runner) -> None:
        runner.broken = True
        raise BenchError("it has ended")

    arms[2].trouble["ask-one"] = die
    measured = measure(arms, [task("one"), task("two")], EFFORT)
    assert measured.missing == (Missing(name="one in zone", reason="it has ended"),)
    assert ("two", "zone") in [(series.workload, series.arm) for series in measured.series]
    assert arms[2].starts == 3
    assert arms[2].running == 0


def test_a_series_that_breaks_off_later_is_left_out_whole(arms: list[Arm]) -> None:
    def third(runner: Runner) -> None:
        if runner.arm.starts == 2:
            raise BenchError("disk full")

    arms[2].trouble["ask-one"] = third
    measured = measure(arms, [task("one")], EFFORT)
    assert [series.arm for series in measured.series] == ["bare", "control"]
    assert {len(series.rounds) for series in measured.series} == {4}


def test_an_interruption_keeps_the_rounds_that_are_whole(
    arms: list[Arm], log: list[tuple[str, str, int]]
) -> None:
    def interrupt(_runner: Runner) -> None:
        if arms[0].starts == 2 and log[-1][0] == "zone":
            raise KeyboardInterrupt

    arms[2].trouble["ask-two"] = interrupt
    measured = measure(arms, [task("one"), task("two")], EFFORT)
    assert not measured.complete
    assert not measured.missing
    rounds = {(series.workload, series.arm): len(series.rounds) for series in measured.series}
    assert {rounds["one", name] for name in ("bare", "control", "zone")} == {4}
    assert {rounds["two", name] for name in ("bare", "control", "zone")} == {2}
    assert [arm.running for arm in arms] == [0, 0, 0]


def test_the_deadline_is_kept(arms: list[Arm], log: list[tuple[str, str, int]]) -> None:
    measured = measure(
        arms,
        [task("one")],
        Effort(rounds=1000, young=2, sample_s=0.001),
        time_up=starting(100, lambda: float(len(log))),
    )
    assert measured.complete
    (late,) = measured.missing
    done = len(measured.series[0].rounds)
    assert (late.name, late.reason) == ("further rounds", f"the time was over after {done} of 1000")
    assert 100 <= len(log) <= 102
    assert {len(series.rounds) for series in measured.series} == {len(measured.series[0].rounds)}


def test_when_the_time_is_over_no_probe_is_started(arms: list[Arm], log: list[tuple[str, str, int]]) -> None:
    time_up = starting(60, lambda: 0.0 if arms[0].starts < 2 else 60.0)
    measured = measure(arms, [task("one")], EFFORT, time_up=time_up)
    assert [arm.starts for arm in arms] == [2, 1, 1]
    assert [arm.running for arm in arms] == [0, 0, 0]
    assert measured.complete
    (late,) = measured.missing
    assert (late.name, late.reason) == ("further rounds", "the time was over after 2 of 4")


def test_an_arm_that_had_no_time_to_begin_again_keeps_what_was_measured_there(arms: list[Arm]) -> None:
    now = [0.0]

    def start() -> None:
        if arms[2].starts == 1:
            now[0] = 100.0
            raise BenchError("the probe said nothing within 3 s")

    arms[2].before = start
    measured = measure(arms, [task("one")], EFFORT, time_up=starting(60, lambda: now[0]))
    assert [series.arm for series in measured.series] == ["bare", "control", "zone"]
    assert [each.name for each in measured.missing] == ["further rounds"]


def test_a_workload_that_the_deadline_takes_is_named(
    arms: list[Arm], log: list[tuple[str, str, int]]
) -> None:
    measured = measure(
        arms,
        [task("one"), task("two")],
        Effort(rounds=1, sample_s=0.001),
        time_up=starting(5, lambda: float(len(log))),
    )
    assert measured.complete
    assert "two" in {each.name for each in measured.missing}
    assert "two" not in {series.workload for series in measured.series}


def test_the_progress_grows_to_its_end(arms: list[Arm], log: list[tuple[str, str, int]]) -> None:
    told: list[Progress] = []
    measure(arms, [task("one"), task("two")], EFFORT, tell=told.append, clock=lambda: float(len(log)))
    done = [progress.done for progress in told]
    assert done == [number / 8 for number in range(8)]
    assert {progress.workload for progress in told} == {"one", "two"}
    assert told[0].left_s is None
    assert told[-1].left_s is not None
    assert told[-1].left_s == pytest.approx(len(log) / 8, rel=0.3)


def test_the_time_left_is_never_more_than_the_deadline_leaves(
    arms: list[Arm], log: list[tuple[str, str, int]]
) -> None:
    told: list[Progress] = []
    effort = Effort(rounds=1000, young=2, sample_s=0.001)

    def clock() -> float:
        return float(len(log))

    measure(arms, [task("one")], effort, time_up=starting(100, clock), tell=told.append, clock=clock)
    left = [progress.left_s for progress in told[1:]]
    assert all(each is not None and each <= 100 for each in left)
    assert left[-1] is not None
    assert left[-1] <= 12
