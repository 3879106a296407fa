"""Rounds in which every arm has its turn, forth and back, so that what drifts, drifts for all.

A round of a workload with the arms a, b, c is `a b c c b a`, and the next begins with another arm, so that none always
follows the same one. Probes are started anew before every few rounds, all together: the luck of a process (layout, page
colours) lasts as long as it does. Within such a block each workload has its rounds in a row.

What cannot be done somewhere is left out there, with the reason, and the rest goes on.

Source: docs/adr/0100-overhead-in-paired-rounds.md.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from zonectl.bench import deadline
from zonectl.bench.deadline import NEVER, TimeIsUpError
from zonectl.bench.results import Kind, Missing, Series
from zonectl.errors import BenchError, ZonectlError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from zonectl.bench.deadline import Deadline
    from zonectl.bench.runner import Arm, Runner
    from zonectl.bench.workloads import Workload

WARM_UP_PART: Final = 8
"""A turn begins with this part of a sample, which is dropped: it finds its caches full of another arm's data."""

_MOST_STEPS: Final = 60
_NEVER_BELOW: Final = 1.1
_STEEPEST: Final = 16.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is measured: `young` rounds at most from the same processes, samples of at least `sample_s`.

    `deadline_s` is for all of a run, whatever else it measures.
    """

    rounds: int = 20
    young: int = 5
    sample_s: float = 0.02
    deadline_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the rounds have come: `done` from 0 to 1, `left_s` None while it cannot be told."""

    workload: str
    done: float
    left_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What came out. `complete`: nothing was broken off before its time."""

    series: tuple[Series, ...]
    missing: tuple[Missing, ...]
    complete: bool


def measure(
    arms: Sequence[Arm],
    tasks: Sequence[Workload],
    effort: Effort,
    *,
    time_up: Deadline = NEVER,
    tell: Callable[[Progress], None] = lambda _progress: None,
    clock: Callable[[], float] = time.monotonic,
) -> Measured:
    """Measure every task in every arm; the first arm, the bare one as a rule, is what the others are compared to.

    After Ctrl-C or the deadline, what has been measured is there: the rounds that are whole. What the deadline takes is
    told as missing; when it has passed, neither a sample nor a probe is begun.

    Raises:
        ZonectlError: the first arm or a zone's cannot be started.

    """
    return _Sampling(arms, tasks, effort, time_up=time_up, tell=tell, clock=clock).run()


def order(arms: int, number: int) -> list[int]:
    """The turns of the round `number`: each arm's index twice, in a palindrome."""
    first = number % arms
    forth = [*range(first, arms), *range(first)]
    return [*forth, *reversed(forth)]


def calibrate(sample: Callable[[int], int], target_ns: float) -> int:
    """The number of loops that take at least `target_ns`: more and more are tried, until they do."""
    loops = 1
    for _ in range(_MOST_STEPS):
        taken = max(1, sample(loops))
        if taken >= target_ns:
            break
        wanted = min(_STEEPEST, target_ns / taken) * _NEVER_BELOW
        loops = max(loops + 1, int(loops * wanted))
    return loops


@dataclass(slots=True)
class _Kept:
    """What has been measured of a task."""

    task: Workload
    loops: int = 0
    rounds: list[list[tuple[float, ...]]] = field(default_factory=list)  # for each, a list by arm
    lost: set[int] = field(default_factory=set)  # the arms in which it cannot be done


class _Sampling:
    """One run of `measure`; what it knows grows."""

    def __init__(
        self,
        arms: Sequence[Arm],
        tasks: Sequence[Workload],
        effort: Effort,
        *,
        time_up: Deadline,
        tell: Callable[[Progress], None],
        clock: Callable[[], float],
    ) -> None:
        self._arms = tuple(arms)
        self._kept = [_Kept(task) for task in tasks]
        self._effort = effort
        self._tell = tell
        self._clock = clock
        self._began = clock()
        self._time_up = time_up
        self._missing: list[Missing] = []
        self._absent: set[int] = set()
        self._turns = 0

    def run(self) -> Measured:
        complete = True
        try:
            for block in self._blocks():
                self._block(block)
        except KeyboardInterrupt:
            complete = False
        except TimeIsUpError:
            # As was asked for: as many rounds as there is time for.
            self._missing.extend(self._too_late())
        except _BrokenOffError as broken:
            complete = False
            self._missing.append(broken.why)
        return Measured(series=tuple(self._series()), missing=tuple(self._missing), complete=complete)

    def _too_late(self) -> Iterator[Missing]:
        """What the deadline has taken: workloads, and rounds of the others."""
        none = [kept for kept in self._kept if not (kept.rounds or kept.lost)]
        for kept in none:
            yield Missing(name=kept.task.facts.name, reason=deadline.BEFORE_THE_FIRST)
        rounds = self._effort.rounds
        least = min((len(kept.rounds) for kept in self._kept if kept.rounds), default=rounds)
        if least < rounds:
            yield deadline.further("further rounds", done=least, wanted=rounds)

    def _blocks(self) -> Iterator[range]:
        young, rounds = max(1, self._effort.young), self._effort.rounds
        for first in range(0, rounds, young):
            yield range(first, min(first + young, rounds))

    def _block(self, rounds: range) -> None:
        with ExitStack() as held:
            runners: dict[int, Runner] = {}
            for kept in self._kept:
                self._start_missing(runners, held)
                for number in rounds:
                    self._report(kept)
                    self._round(kept, number, runners)
                    self._turns += 1

    def _start_missing(self, runners: dict[int, Runner], held: ExitStack) -> None:
        """Start the probes of all arms that have none, or one that has ended; its end is seen to in the end."""
        for index, arm in enumerate(self._arms):
            if index in self._absent or (index in runners and not runners[index].broken):
                continue
            self._time_up.watch()
            try:
                runners[index] = held.enter_context(arm.start())
            except ZonectlError as error:
                self._time_up.watch()  # it may have been given no more time to begin
                self._give_up(index, error)

    def _give_up(self, index: int, error: ZonectlError) -> None:
        """Go on without an arm; not without the reference or the zone, but with what has been measured by then."""
        essential = index == 0 or self._arms[index].facts.kind is Kind.ZONE
        if essential and not self._turns:
            raise error
        if essential:
            raise _BrokenOffError(Missing(name=self._arms[index].facts.name, reason=error.message))
        self._absent.add(index)
        self._missing.append(Missing(name=self._arms[index].facts.name, reason=error.message))

    def _round(self, kept: _Kept, number: int, runners: dict[int, Runner]) -> None:
        """Measure one round, in the arms where it can be done."""
        if 0 in kept.lost:
            return
        found: dict[int, list[float]] = {}
        for index in order(len(self._arms), number):
            if index in self._absent or index in kept.lost:
                continue
            try:
                found.setdefault(index, []).append(self._turn(kept, runners[index]))
            except BenchError as error:
                self._lose(kept, index, error)
                if index == 0:
                    return
        kept.rounds.append([tuple(found.get(index, ())) for index in range(len(self._arms))])

    def _turn(self, kept: _Kept, runner: Runner) -> float:
        asks, settings = kept.task.asks, kept.task.settings_at(runner.place)

        def sample(loops: int) -> int:
            self._time_up.watch()
            return runner.sample(asks, loops, settings)

        if not kept.loops:
            kept.loops = calibrate(sample, self._effort.sample_s * 1e9)
        elif kept.loops >= WARM_UP_PART:
            sample(kept.loops // WARM_UP_PART)
        return sample(kept.loops) / kept.loops

    def _lose(self, kept: _Kept, index: int, error: BenchError) -> None:
        kept.lost.add(index)
        task = kept.task.facts.name
        name = task if index == 0 else f"{task} in {self._arms[index].facts.name}"
        self._missing.append(Missing(name=name, reason=error.message))

    def _report(self, kept: _Kept) -> None:
        done = self._turns / max(1, self._effort.rounds * len(self._kept))
        spent = self._clock() - self._began
        left = spent * (1 - done) / done if done else None
        self._tell(Progress(workload=kept.task.facts.name, done=done, left_s=self._time_up.bound(left)))

    def _series(self) -> Iterator[Series]:
        for kept in self._kept:
            if 0 in kept.lost or not kept.rounds:
                continue
            for index, arm in enumerate(self._arms):
                if index in self._absent or index in kept.lost:
                    continue
                rounds = tuple(each[index] for each in kept.rounds)
                yield Series(
                    workload=kept.task.facts.name, arm=arm.facts.name, loops=kept.loops, rounds=rounds
                )


class _BrokenOffError(Exception):
    """An arm that the others are nothing without cannot be started any more."""

    def __init__(self, why: Missing) -> None:
        super().__init__(why.reason)
        self.why = why
