"""Budgets judged: whether isolation costs certainly more than a zone file allows, certainly not, or neither.

A budget of a group holds for each of its workloads, unless the workload has one of its own. Percentages are what the
zone takes more than bare metal in the same rounds, and as `statistics.judge` judges; times are the zone's own, of
the command as a user types it, beside which there is no control. Of a percentage without a control nothing is certain.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from zonectl.bench import lifecycle
from zonectl.bench.bootstrap import interval, median
from zonectl.bench.pairing import floor
from zonectl.bench.results import Kind
from zonectl.bench.statistics import LEAST_ROUNDS, Verdict, compare, values
from zonectl.config.budget_fields import GROUPS, SHARE, TIME, VERBS
from zonectl.config.nearest import nearest
from zonectl.config.writing import value_text
from zonectl.errors import BenchError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from zonectl.bench.results import Run, WorkloadFacts
    from zonectl.config.quantities import Percent, Period
    from zonectl.model.config import BudgetConfig

Rounds: TypeAlias = tuple[tuple[float, ...], ...]

_OF_WORKLOAD: Final = "workload."
_NS_OF_US: Final = 1000


class Standing(enum.StrEnum):
    """What may be said of a budget."""

    BROKEN = "broken"  # certainly: the whole interval is above it, and above the noise
    KEPT = "kept"  # certainly: the whole interval is below, and the noise is too
    UNCLEAR = "cannot tell"
    MISSING = "not measured"


_STANDINGS: Final = {
    Verdict.WITHIN: Standing.KEPT,
    Verdict.ABOVE: Standing.BROKEN,
    Verdict.UNCLEAR: Standing.UNCLEAR,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One budget and one workload. Values: ratios to bare metal, or nanoseconds where the budget is a time."""

    key: str  # as in the zone file: "cpu", "start", "workload.getpid"
    allowed: str  # as there: "3%"
    workload: str  # the name; of a budget whose workloads were not measured, what it is for
    standing: Standing
    value: float | None = None
    low: float | None = None
    high: float | None = None
    rounds_needed: int | None = None


def written(config: BudgetConfig, *, workloads: Iterable[str]) -> dict[str, str]:
    """A zone's budget as a run's document holds it; `workloads` are the names that there are.

    Raises:
        BenchError: it names a workload that does not exist, with the nearest that does.

    """
    known = sorted(workloads)
    for name, _ in config.workload_percent:
        _must_exist(name, known)
    shares = {key: getattr(config, f"{key}_percent") for key in GROUPS}
    shares |= {_OF_WORKLOAD + name: percent for name, percent in config.workload_percent}
    times = {key: getattr(config, f"{key}_us") for key in VERBS}
    return {
        key: value_text(_kind(key), value).strip('"')
        for key, value in (shares | times).items()
        if value is not None
    }


def judge(run: Run) -> tuple[Judgement, ...]:
    """Each budget of the run and each workload that it is for; one that was not measured is told, too.

    Raises:
        BenchError: the document's budget is none, or a sample is not a positive number.

    """
    return tuple(_Judging(run).judgements())


def broken(judgements: Iterable[Judgement]) -> bool:
    """Whether one of them is certainly exceeded."""
    return any(each.standing is Standing.BROKEN for each in judgements)


def _must_exist(name: str, known: Sequence[str]) -> None:
    if name not in known:
        meant = nearest(name, known)
        hint = f"did you mean {meant}?" if meant else "zonectl bench list shows them"
        raise BenchError(f"budget.workload: there is no workload {name!r}", hint=hint)


def _kind(key: str) -> Percent | Period:
    return TIME if key in VERBS else SHARE


def _limit(key: str, text: str) -> float:
    """What a budget allows: a share above 0 (0.03), or nanoseconds.

    Raises:
        BenchError: the document says something that no zone file can.

    """
    if key not in {*GROUPS, *VERBS} and not key.startswith(_OF_WORKLOAD):
        raise BenchError(f"budget.{key}: there is no such budget")
    try:
        value = cast("float", _kind(key).read(text))
    except ValueError as error:
        raise BenchError(f"budget.{key}: {error}") from error
    return value * _NS_OF_US if key in VERBS else value / 100


class _Judging:
    """The budgets of one run."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._limits = {key: _limit(key, text) for key, text in run.budget.items()}

    def judgements(self) -> Iterator[Judgement]:
        for key in self._limits:
            found = [each for workload in self._workloads(key) if (each := self._judged(key, workload))]
            yield from found or [self._judgement(key, key.removeprefix(_OF_WORKLOAD), Standing.MISSING)]

    def _workloads(self, key: str) -> list[WorkloadFacts]:
        """Those that the budget is for."""
        if key in VERBS:
            command = lifecycle.GROUP, lifecycle.name(key)
            return [each for each in self._run.workloads if (each.group, each.name) == command]
        if key.startswith(_OF_WORKLOAD):
            return [each for each in self._run.workloads if each.name == key.removeprefix(_OF_WORKLOAD)]
        group = [each for each in self._run.workloads if each.group == GROUPS[key]]
        return [each for each in group if _OF_WORKLOAD + each.name not in self._limits]

    def _judged(self, key: str, workload: WorkloadFacts) -> Judgement | None:
        """None where the workload was not measured in what has to be compared."""
        bare, zone = self._rounds(workload, Kind.BARE), self._rounds(workload, Kind.ZONE)
        if key in VERBS:
            return self._of_time(key, workload.name, zone) if zone else None
        if not (bare and zone):
            return None
        found = compare(bare, zone, floor=floor(self._run, workload.name), limit=self._limits[key])
        known = self._judgement(key, workload.name, _STANDINGS[found.verdict])
        return replace(
            known, value=found.ratio, low=found.low, high=found.high, rounds_needed=found.rounds_needed
        )

    def _rounds(self, workload: WorkloadFacts, kind: Kind) -> Rounds:
        arm = self._run.arm(kind)
        series = self._run.find(workload.name, arm.name) if arm else None
        return series.rounds if series else ()

    def _of_time(self, key: str, name: str, rounds: Rounds) -> Judgement:
        times, limit_ns = values(rounds), self._limits[key]
        low, high = interval(times)
        standing = Standing.UNCLEAR
        if len(times) >= LEAST_ROUNDS and low > limit_ns:
            standing = Standing.BROKEN
        elif len(times) >= LEAST_ROUNDS and high <= limit_ns:
            standing = Standing.KEPT
        return replace(self._judgement(key, name, standing), value=median(times), low=low, high=high)

    def _judgement(self, key: str, workload: str, standing: Standing) -> Judgement:
        return Judgement(key=key, allowed=self._run.budget[key], workload=workload, standing=standing)
