"""What a run measures by whole commands: the life cycle, and then density."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from zonectl.bench import commands, density, lifecycle
from zonectl.bench.deadline import NEVER
from zonectl.bench.density import Dense
from zonectl.bench.sampling import Measured

if TYPE_CHECKING:
    from collections.abc import Callable

    from zonectl.bench.deadline import Deadline
    from zonectl.bench.results import DensityPoint, Missing, Series, WorkloadFacts
    from zonectl.bench.sampling import Progress
    from zonectl.model.config import ZoneConfig
    from zonectl.runtime.context import Context

_NO_LIFE: Final = Measured(series=(), missing=(), complete=True)
_NOT_DENSE: Final = Dense(points=(), missing=(), complete=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """What came out. `complete`: nothing was broken off."""

    workloads: tuple[WorkloadFacts, ...]
    series: tuple[Series, ...]
    density: tuple[DensityPoint, ...]
    missing: tuple[Missing, ...]
    complete: bool


def measure(
    context: Context,
    config: ZoneConfig,
    *,
    rounds: int,
    most: int,
    after: bool = False,
    time_up: Deadline = NEVER,
    tell: Callable[[Progress], None],
) -> Whole:
    """Measure so many rounds of the life cycle, and density up to `most` zones; 0 is not at all.

    What time there is until `time_up` is shared between the two and what comes `after`, if anything does.

    Raises:
        ConfigError: no zone can be made after `config`.
        StoreError: nothing can be written.

    """
    client = commands.client(context.instance)
    life, dense = _NO_LIFE, _NOT_DENSE
    if rounds:
        share = time_up.share(1 / (1 + bool(most) + after))
        life = lifecycle.measure(context, config, client, rounds=rounds, time_up=share, tell=tell)
    if most and life.complete:
        share = time_up.share(1 / (1 + after))
        dense = density.measure(context, config, client, most=most, time_up=share, tell=tell)
    return Whole(
        workloads=lifecycle.WORKLOADS if rounds else (),
        series=life.series,
        density=dense.points,
        missing=(*life.missing, *dense.missing),
        complete=life.complete and dense.complete,
    )
