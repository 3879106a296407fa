"""What an arm of a run is compared with in the same rounds, and how far the control lets it be believed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.bench.results import Kind
from zonectl.bench.statistics import noise_floor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zonectl.bench.results import ArmFacts, Run


def below(run: Run, arm: ArmFacts) -> Iterator[ArmFacts]:
    """What a rung stands on, the nearest first, bare metal last.

    A workload is compared with the first of them that was measured in it: what no rung had in between is then part of
    the cost of the one above, and nothing is missing from the sum.
    """
    arms = {each.name: each for each in run.arms}
    seen = {arm.name}
    while (found := arms.get(arm.after) if arm.after else run.arm(Kind.BARE)) and found.name not in seen:
        yield found
        seen.add(found.name)
        arm = found


def floor(run: Run, workload: str) -> float | None:
    """The noise floor of a workload, as `noise_floor`; None where no control was measured: nothing can be claimed.

    Raises:
        BenchError: a sample is not a positive number.

    """
    bare, control = (_rounds(run, workload, kind) for kind in (Kind.BARE, Kind.CONTROL))
    return noise_floor(bare, control) if bare and control else None


def _rounds(run: Run, workload: str, kind: Kind) -> tuple[tuple[float, ...], ...]:
    arm = run.arm(kind)
    series = run.find(workload, arm.name) if arm else None
    return series.rounds if series else ()
