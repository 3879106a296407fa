"""What has changed between two runs: of overheads, not of times.

Two runs are measured one after the other, which is what paired rounds are there to avoid: between them a machine drifts
by more than what is looked for. So an arm is compared by what it takes more than its reference of the same rounds (bare
metal; for a rung of the ladder what it stands on), and both hosts, or moods of one host, cancel out. Times are compared
where there is no such reference, on the same host only; no control bounds what a machine's mood does to them.

The rounds of two runs are no pairs: each median has a bootstrap distribution of its own, and the interval is that of
their quotient; simulated, it holds the truth in 95 to 97 % of cases. The floor is both runs' together; where
one of them has none, nothing is claimed of overheads.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final, TypeAlias

from zonectl.bench import bootstrap, pairing
from zonectl.bench.ranks import mann_whitney
from zonectl.bench.results import Kind
from zonectl.bench.statistics import LEAST_ROUNDS, LIMIT, values

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from zonectl.bench.results import ArmFacts, Host, Run, WorkloadFacts

Rounds: TypeAlias = tuple[tuple[float, ...], ...]
_NOT_THE_HOST: Final = "versions"


class Basis(enum.StrEnum):
    """What is compared."""

    OVERHEAD = "overhead"  # each run's ratio to its reference
    TIME = "time"  # nanoseconds an operation


class Trend(enum.StrEnum):
    """What has become of an arm."""

    SLOWER = "slower"  # the whole interval is above 1, and above the noise
    FASTER = "faster"
    SAME = "same within 3 %"  # the whole interval is, and the noise
    UNCLEAR = "cannot tell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A workload in an arm, in both runs. Above 1 the new one is slower."""

    workload: WorkloadFacts
    arm: ArmFacts
    basis: Basis
    old: float  # median of the rounds: a ratio, or nanoseconds
    new: float
    ratio: float
    low: float  # interval of the ratio, 95 %
    high: float
    p_value: float  # Mann-Whitney U, two-sided
    floor: float | None  # of both runs: deviations from 1 below it are not claimed; None: one has no control
    trend: Trend


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What two runs have in common, compared; and what they have not."""

    changes: tuple[Change, ...]
    hosts: tuple[str, ...]  # in what the hosts differ: "kernel: 6.1 -> 6.12"; versions of programs too
    same_host: bool  # programs may differ
    only_old: tuple[str, ...]  # "fork", "all in crun", "getpid in zone"
    only_new: tuple[str, ...]


def compare(old: Run, new: Run, *, limit: float = LIMIT) -> Changes:
    """Every workload and arm that both runs have.

    Raises:
        BenchError: a sample is not a positive number.

    """
    before, after = _measured(old), _measured(new)
    same = all(_fact(old.host, name) == _fact(new.host, name) for name in _names(old.host))
    return Changes(
        changes=tuple(_changes(old, new, same_host=same, limit=limit)),
        hosts=tuple(_differences(old.host, new.host)),
        same_host=same,
        only_old=_alone(before, after),
        only_new=_alone(after, before),
    )


def _alone(ours: Collection[tuple[str, str]], theirs: Collection[tuple[str, str]]) -> tuple[str, ...]:
    """What one run has measured and the other has not: a workload, all of an arm, or the one in the other."""
    workloads, arms = {workload for workload, _ in theirs}, {arm for _, arm in theirs}

    def named(workload: str, arm: str) -> str:
        if workload not in workloads:
            return workload
        return f"{workload} in {arm}" if arm in arms else f"all in {arm}"

    return tuple(dict.fromkeys(named(*pair) for pair in ours if pair not in theirs))


def trend(low: float, high: float, *, floor: float, limit: float) -> Trend:
    """Where an interval of a quotient lies."""
    if low > 1 + floor:
        return Trend.SLOWER
    if high < 1 / (1 + floor):
        return Trend.FASTER
    inside = 1 / (1 + limit) <= low and high <= 1 + limit and floor <= limit
    return Trend.SAME if inside else Trend.UNCLEAR


def _measured(run: Run) -> list[tuple[str, str]]:
    return [(series.workload, series.arm) for series in run.series if series.rounds]


def _changes(old: Run, new: Run, *, same_host: bool, limit: float) -> Iterator[Change]:
    for workload in new.workloads:
        floor = _floor(old, new, workload)
        for arm in new.arms:
            basis, before, after = _values(old, new, workload=workload, arm=arm)
            if before and after and (basis is Basis.OVERHEAD or same_host):
                yield _change(
                    workload, arm, basis=basis, before=before, after=after, floor=floor, limit=limit
                )


def _values(
    old: Run, new: Run, *, workload: WorkloadFacts, arm: ArmFacts
) -> tuple[Basis, Sequence[float], Sequence[float]]:
    """What both runs say of each round: ratios, if both have what the arm is compared with, and times otherwise."""
    reference = _reference(old, new, workload=workload, arm=arm)
    sides = [(_rounds(run, workload, arm.name), _rounds(run, workload, reference)) for run in (old, new)]
    if all(below for _, below in sides):
        before, after = (_ratios(below, measured) for measured, below in sides)
        return Basis.OVERHEAD, before, after
    before, after = (values(measured) for measured, _ in sides)
    return Basis.TIME, before, after


def _reference(old: Run, new: Run, *, workload: WorkloadFacts, arm: ArmFacts) -> str | None:
    """The name of the arm that it is compared with in both runs: for a rung the nearest below it that both measured."""
    if arm.kind is Kind.BARE:
        return None
    bare = new.arm(Kind.BARE)
    candidates = pairing.below(new, arm) if arm.kind is Kind.LAYER else filter(None, (bare,))
    names = (each.name for each in candidates)
    return next((name for name in names if all(_rounds(run, workload, name) for run in (old, new))), None)


def _rounds(run: Run, workload: WorkloadFacts, arm: str | None) -> Rounds:
    series = run.find(workload.name, arm) if arm else None
    return series.rounds if series else ()


def _ratios(reference: Rounds, measured: Rounds) -> list[float]:
    common = min(len(reference), len(measured))
    pairs = zip(values(reference[:common]), values(measured[:common]), strict=True)
    return [slow / fast for fast, slow in pairs]


def _floor(old: Run, new: Run, workload: WorkloadFacts) -> float | None:
    """The noise floor of both runs together; None where one of them has none."""
    before, after = (pairing.floor(run, workload.name) for run in (old, new))
    return None if before is None or after is None else (1 + before) * (1 + after) - 1


def _change(  # the facts of one workload in one arm
    workload: WorkloadFacts,
    arm: ArmFacts,
    *,
    basis: Basis,
    before: Sequence[float],
    after: Sequence[float],
    floor: float | None,
    limit: float,
) -> Change:
    medians = bootstrap.ratios(bootstrap.medians(after), bootstrap.medians(before))
    low, high = bootstrap.percentiles(medians)
    enough = min(len(before), len(after)) >= LEAST_ROUNDS
    bound = 0.0 if floor is None and basis is Basis.TIME else floor
    old, new = bootstrap.median(before), bootstrap.median(after)
    return Change(
        workload=workload,
        arm=arm,
        basis=basis,
        old=old,
        new=new,
        ratio=new / old,
        low=low,
        high=high,
        p_value=mann_whitney(before, after),
        floor=floor,
        trend=Trend.UNCLEAR if bound is None or not enough else trend(low, high, floor=bound, limit=limit),
    )


def _names(host: Host) -> list[str]:
    return [field.name for field in fields(host) if field.name != _NOT_THE_HOST]


def _fact(host: Host, name: str) -> str:
    return str(getattr(host, name))


def _differences(old: Host, new: Host) -> Iterator[str]:
    for name in _names(old):
        if _fact(old, name) != _fact(new, name):
            yield f"{name.replace('_', ' ')}: {_fact(old, name)} -> {_fact(new, name)}"
    for name in dict.fromkeys([*old.versions, *new.versions]):
        before, after = (host.versions.get(name, "none") for host in (old, new))
        if before != after:
            yield f"{name}: {before} -> {after}"
