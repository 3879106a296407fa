"""Machines whose clocks run as fast as the host's, and others."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

import pytest

from zonectl.bench.peers import clock
from zonectl.bench.runner import Place
from zonectl.errors import BenchError

if TYPE_CHECKING:
    from collections.abc import Iterable

LOOP_NS = 1000
MS = 1_000_000


class Guest:
    """A probe by whose clock a second is `speed` seconds; requests take so many nanoseconds besides, in turn."""

    broken = False
    place = Place(root_folder=None, bind_folder=None, server=None)

    def __init__(self, speed: float, besides_ns: Iterable[int]) -> None:
        self.host_ns = 0
        self._speed = speed
        self._besides = cycle(besides_ns)

    def sample(self, workload: str, loops: int, settings: dict[str, str]) -> int:
        assert (workload, settings) == (clock.WORKLOAD, {})
        self.host_ns += loops * LOOP_NS + next(self._besides)
        return int(loops * LOOP_NS * self._speed)


def check(guest: Guest) -> None:
    clock.require_true(guest, clock=lambda: guest.host_ns)


@pytest.mark.parametrize("besides_ms", [0, 5, 100])
@pytest.mark.parametrize("speed", [0.992, 1, 1.008])
def test_a_clock_that_is_nearly_the_hosts_is_believed(speed: float, besides_ms: int) -> None:
    check(Guest(speed, [besides_ms * MS]))


@pytest.mark.parametrize("besides_ms", [0, 5, 100])
@pytest.mark.parametrize("speed", [0.5, 0.97, 0.985, 1.015, 2])
def test_a_clock_that_is_off_by_more_than_a_hundredth_is_found_out(speed: float, besides_ms: int) -> None:
    with pytest.raises(BenchError, match="its clock cannot be trusted"):
        check(Guest(speed, [besides_ms * MS]))


def test_a_slow_clock_does_not_gain_by_answers_that_are_late() -> None:
    with pytest.raises(BenchError, match="its clock cannot be trusted"):
        check(Guest(0.97, [30 * MS, 2 * MS, 50 * MS]))


class Late(Guest):
    """Its answers to what takes long come late, so many of them after those to requests of nothing."""

    def __init__(self, answers: int) -> None:
        super().__init__(1, [0])
        self.answers = answers
        self._checked = False
        self._before = 0

    def sample(self, workload: str, loops: int, settings: dict[str, str]) -> int:
        self._checked |= self._before == 1 and loops > 1000
        if self._checked and self.answers:
            self.answers -= 1
            self.host_ns += 40 * MS
        self._before = loops
        return super().sample(workload, loops, settings)


def test_a_true_clock_may_be_late_once_or_twice() -> None:
    for answers in (1, 2):
        guest = Late(answers)
        check(guest)
        assert guest.answers == 0
    with pytest.raises(BenchError, match="1100 ms were 1140 on the host"):
        check(Late(3))
