"""A whole run: what all its parts share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kernel.runtime.world import REQUIRED, unwatched
from zonectl.bench.run import Wish, measure
from zonectl.bench.sampling import Effort
from zonectl.bench.workloads import named

if TYPE_CHECKING:
    from tests.kernel.runtime.world import World
    from zonectl.bench.sampling import Progress

pytestmark = pytest.mark.requires(*REQUIRED, "program:cc")


def ignore(_progress: Progress) -> None:
    """Tell nobody."""


def test_a_run_without_any_time_tells_of_everything_as_missing(world: World) -> None:
    wish = Wish(
        config=world.parse(world.text()),
        workloads=named("getpid"),
        effort=Effort(rounds=2, deadline_s=0.0),
        life_cycle=True,
        density=3,
    )
    run = measure(unwatched(world), wish, tell=ignore)
    assert run.complete
    assert run.series == ()
    assert run.density == ()
    assert [(each.name, each.reason) for each in run.missing] == [
        ("getpid", "the time was over before its first round"),
        ("further rounds of the life cycle", "the time was over after 0 of 2"),
        ("density of 3", "the time was over when 0 ran"),
    ]


def test_without_a_deadline_nothing_is_missing(world: World) -> None:
    wish = Wish(
        config=world.parse(world.text()),
        workloads=named("getpid"),
        effort=Effort(rounds=2, sample_s=0.0001, deadline_s=None),
    )
    run = measure(unwatched(world), wish, tell=ignore)
    assert run.complete
    assert run.missing == ()
    assert {len(series.rounds) for series in run.series} == {2}
