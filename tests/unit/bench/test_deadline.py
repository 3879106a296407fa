"""One deadline for all of a run, and what each part does when its own has come."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from zonectl.bench import density, lifecycle
from zonectl.bench.deadline import NEVER, TimeIsUpError, starting
from zonectl.bench.results import Missing

if TYPE_CHECKING:
    from collections.abc import Callable

    from zonectl.bench.commands import Client
    from zonectl.bench.guests import Guests
    from zonectl.runtime.context import Context


class Clock:
    """A clock that stands still, until it is put on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_never_is_never() -> None:
    assert NEVER.left_s() is None
    assert NEVER.share(0.1) is NEVER
    assert NEVER.within(60.0) == NEVER.bound(60.0) == 60.0
    assert starting(None) is NEVER
    NEVER.watch()


def test_the_time_runs_out(clock: Clock) -> None:
    end = starting(80.0, clock)
    assert end.left_s() == 80.0
    assert end.within(60.0) == 60.0
    clock.now += 79.5
    end.watch()
    assert end.within(60.0) == end.bound(60.0) == 0.5
    assert end.bound(None) is None
    clock.now += 10
    assert end.left_s() == end.within(60.0) == 0.0
    with pytest.raises(TimeIsUpError):
        end.watch()


def test_what_a_part_leaves_is_the_next_ones(clock: Clock) -> None:
    end = starting(90.0, clock)
    first = end.share(1 / 3)
    assert first.left_s() == pytest.approx(30.0)
    clock.now += 10
    assert end.share(1 / 2).left_s() == pytest.approx(40.0)
    clock.now += 100
    assert end.share(1 / 2).left_s() == 0.0


class Commands:
    """Each command takes a second of the clock; stands for the journal, too."""

    program = ("/bin/true",)
    names: frozenset[str] = frozenset()

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.environment: dict[str, str] = {}
        self.done: list[str] = []

    def announce(self, word: str) -> tuple[str, str]:
        return word, f"{word}.toml"

    def time(self, *words: str) -> int:
        self.clock.now += 1
        self.done.append(words[0])
        return 10**9


@pytest.fixture
def commands(clock: Clock) -> Commands:
    return Commands(clock)


@pytest.fixture
def life(
    commands: Commands, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> Callable[[float], lifecycle._Measuring]:
    """What measures the life cycle for so many seconds; without a zoned that could be ended, nor floors, alone."""
    monkeypatch.setattr(lifecycle._Measuring, "_have_neighbour", lambda _self: None)
    for part in ("_cold_start", "_alone"):
        monkeypatch.setattr(lifecycle._Measuring, part, lambda _self: {})
    monkeypatch.setattr(lifecycle, "FLOOR", ())

    def make(seconds: float) -> lifecycle._Measuring:
        client, ours = cast("Client", commands), cast("Guests", commands)
        return lifecycle._Measuring(cast("Context", None), client, ours, time_up=starting(seconds, clock))

    return make


WARM = sum(deed.is_warm for deed in lifecycle.LIFE)
A_ROUND = WARM + len(lifecycle.LIFE) + len(lifecycle.COLD_LIFE)


def test_the_life_cycle_has_rounds_that_are_whole(
    life: Callable[[float], lifecycle._Measuring], commands: Commands
) -> None:
    found = life(2.5 * A_ROUND).run(8, lambda _: None)
    assert found.complete
    assert found.missing == (
        Missing(name="further rounds of the life cycle", reason="the time was over after 2 of 8"),
    )
    assert {len(series.rounds) for series in found.series} == {2}
    assert len(commands.done) == pytest.approx(2.5 * A_ROUND, abs=1)


def test_a_life_cycle_that_has_time_enough_lacks_nothing(
    life: Callable[[float], lifecycle._Measuring],
) -> None:
    found = life(2 * A_ROUND).run(2, lambda _: None)
    assert found.missing == ()
    assert {len(series.rounds) for series in found.series} == {2}


def test_density_stops_growing(commands: Commands, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(density, "_settled_bytes", lambda: 0)
    monkeypatch.setattr(density._Measuring, "_processes_bytes", lambda _self, _name: 0)
    client, ours = cast("Client", commands), cast("Guests", commands)
    measuring = density._Measuring(
        cast("Context", None), client, ours, most=50, time_up=starting(55.0, clock)
    )
    found = measuring.run(lambda _: None)
    assert found.complete
    assert [point.zones for point in found.points] == [1, 2]
    assert found.missing == (Missing(name="density of 50", reason="the time was over when 5 ran"),)
