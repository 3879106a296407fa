"""What may be said of a run: every ratio, interval and verdict that tables and charts show, derived once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from zonectl.bench.bootstrap import interval, median
from zonectl.bench.pairing import below, floor
from zonectl.bench.results import Kind
from zonectl.bench.statistics import Comparison, compare, values

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from zonectl.bench.results import ArmFacts, Run, Series, WorkloadFacts

LIFE_CYCLE = "life cycle"
"""The group whose workloads are commands: what they take is of interest, not what more than bare metal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A workload in an arm, compared with another arm of the same rounds."""

    workload: WorkloadFacts
    arm: ArmFacts
    reference_ns: float  # an operation, median of the rounds
    measured_ns: float
    ratios: tuple[float, ...]  # of each round
    comparison: Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration:
    """How long a command of the life cycle takes."""

    workload: WorkloadFacts
    arm: ArmFacts
    median_ns: float
    low_ns: float  # the median's interval, 95 %
    high_ns: float
    rounds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An arm in all the workloads that it was measured in, each against the same other arm."""

    arm: ArmFacts
    title: str
    cells: dict[str, Finding]  # by the workload's name


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Everything that is derived of one run."""

    run: Run
    zone: Row | None  # against bare metal
    control: Row | None  # bare metal against itself: the noise
    ladder: tuple[
        Row, ...
    ]  # each rung against what it stands on, from the bottom; then what a zone has besides
    peers: tuple[Row, ...]  # against bare metal, those of a family together
    life: tuple[Duration, ...]

    @property
    def overhead(self) -> list[Finding]:
        """The zone's, in the order of the workloads."""
        return list(self.zone.cells.values()) if self.zone else []

    @property
    def chain(self) -> tuple[Row, ...]:
        """Of the ladder what makes up the zone; what a rung beside it costs, on which none stands, is no part of it."""
        stood_on = {arm.after for arm in self.run.arms}
        return tuple(row for row in self.ladder if row.arm.name in stood_on or row is self.ladder[-1])

    def workloads_of(self, rows: Sequence[Row]) -> list[WorkloadFacts]:
        """The workloads that were measured in one of the rows, in the run's order."""
        names = {name for row in rows for name in row.cells}
        return [workload for workload in self.run.workloads if workload.name in names]

    def shared_ratios(self, row: Row) -> list[float]:
        """An arm's ratios in the workloads that peers were measured in: what no other did cannot be compared."""
        names = [workload.name for workload in self.workloads_of(self.peers)]
        return [row.cells[name].comparison.ratio for name in names if name in row.cells]


def derive(run: Run) -> Findings:
    """What may be said of the run.

    Raises:
        BenchError: a sample is not a positive number.

    """
    derivation = _Derivation(run)
    bare, zone, control = run.arm(Kind.BARE), run.arm(Kind.ZONE), run.arm(Kind.CONTROL)
    layers = [arm for arm in run.arms if arm.kind is Kind.LAYER]
    hosts = (bare,) if bare else ()
    rungs = [derivation.row(arm, below(run, arm)) for arm in layers]
    if layers and zone and zone.after:
        rungs.append(_where_climbed(derivation.row(zone, below(run, zone), title="the rest"), rungs))
    peers = [derivation.row(arm, hosts) for arm in _by_family(run.arms)]
    return Findings(
        run=run,
        zone=_unless_empty(derivation.row(zone, hosts)) if zone else None,
        control=_unless_empty(derivation.row(control, hosts)) if control else None,
        ladder=tuple(row for row in rungs if row.cells),
        peers=tuple(row for row in peers if row.cells),
        life=derivation.life(),
    )


def _unless_empty(row: Row) -> Row | None:
    return row if row.cells else None


def _where_climbed(rest: Row, rungs: Sequence[Row]) -> Row:
    """The rest of what the rungs have told of; where none of them was measured it would be the whole zone."""
    climbed = {name for row in rungs for name in row.cells}
    return replace(rest, cells={name: cell for name, cell in rest.cells.items() if name in climbed})


def _by_family(arms: Sequence[ArmFacts]) -> list[ArmFacts]:
    """The peers, those of a family together, in the order of each family's first."""
    peers = [arm for arm in arms if arm.kind is Kind.PEER]
    families = list(dict.fromkeys(arm.family for arm in peers))
    return sorted(peers, key=lambda arm: families.index(arm.family))


class _Derivation:
    def __init__(self, run: Run) -> None:
        self._run = run
        self._series = {(series.workload, series.arm): series for series in run.series if series.rounds}
        self._workloads = [each for each in run.workloads if each.group != LIFE_CYCLE]
        self._floors = {each.name: floor(run, each.name) for each in self._workloads}

    def row(self, arm: ArmFacts, references: Iterable[ArmFacts], *, title: str = "") -> Row:
        """The arm in every workload, against the first of `references` in which it was measured as well."""
        names = [each.name for each in references]
        findings = (self._finding(workload, arm, names) for workload in self._workloads)
        cells = {finding.workload.name: finding for finding in findings if finding}
        return Row(arm=arm, title=title or arm.title, cells=cells)

    def life(self) -> tuple[Duration, ...]:
        """The commands, each in the arms that have it."""
        return tuple(
            _duration(workload, arm, series)
            for workload in self._run.workloads
            if workload.group == LIFE_CYCLE
            for arm in self._run.arms
            if (series := self._series.get((workload.name, arm.name)))
        )

    def _finding(self, workload: WorkloadFacts, arm: ArmFacts, references: Sequence[str]) -> Finding | None:
        series = (self._series.get((workload.name, name)) for name in references)
        reference = next(filter(None, series), None)
        measured = self._series.get((workload.name, arm.name))
        if reference is None or measured is None:
            return None
        common = min(len(reference.rounds), len(measured.rounds))
        before, after = values(reference.rounds[:common]), values(measured.rounds[:common])
        return Finding(
            workload=workload,
            arm=arm,
            reference_ns=median(before),
            measured_ns=median(after),
            ratios=tuple(slow / fast for fast, slow in zip(before, after, strict=True)),
            comparison=compare(reference.rounds, measured.rounds, floor=self._floors[workload.name]),
        )


def _duration(workload: WorkloadFacts, arm: ArmFacts, series: Series) -> Duration:
    times = values(series.rounds)
    low, high = interval(times)
    return Duration(
        workload=workload, arm=arm, median_ns=median(times), low_ns=low, high_ns=high, rounds=len(times)
    )
