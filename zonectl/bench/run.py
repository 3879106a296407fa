"""One run of the benchmark: what is asked for, measured on this host, as `results.Run`."""

from __future__ import annotations

import datetime as dt
import os
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from zonectl.bench import (
    arms,
    budget,
    deadline,
    disturbances,
    guests,
    layers,
    machine,
    sampling,
    serving,
    site,
    whole,
)
from zonectl.bench.peers import catalogue
from zonectl.bench.peers.machines import MACHINES
from zonectl.bench.probe import build
from zonectl.bench.results import ArmFacts, Run
from zonectl.bench.sampling import Effort
from zonectl.bench.workloads import CATALOGUE
from zonectl.errors import UsageError
from zonectl.runtime.remains import teardown_when_last
from zonectl.security.steps import parse_cpus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from zonectl.bench.deadline import Deadline
    from zonectl.bench.runner import Arm
    from zonectl.bench.sampling import Progress
    from zonectl.bench.site import Site
    from zonectl.bench.workloads import Workload
    from zonectl.model.config import ZoneConfig
    from zonectl.runtime.context import Context

DEFAULT_NAME: Final = "default"
DEFAULT_ZONE: Final = f"""\
name = "{DEFAULT_NAME}"

[root]
host = true
"""
"""What is measured where no zone is named: everything but the root is as it is by default."""

PROGRAMS: Final = ("cc",)
"""Whose versions belong to a run."""

EXECUTING: Final = frozenset({"composite", "witness"})
"""Groups of workloads that execute what the root has."""

FULL: Final = Effort(rounds=20, young=1, sample_s=0.02)
QUICK: Final = Effort(rounds=8, young=2, sample_s=0.005, deadline_s=90.0)
"""With thirty seconds of its two minutes for what is begun when the time is over, and for all to be put away."""

OLDER: Final = 5
"""Rounds of the same processes where virtual machines are measured too: one takes seconds to boot."""

ARMS: Final[tuple[ArmFacts, ...]] = (arms.BARE, arms.ZONE)
"""Where whole commands are run, when no workload is measured."""

_NOTHING: Final = sampling.Measured(series=(), missing=(), complete=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be measured: the zone of `config`, whose file has the text `text` and is called `name`.

    `against` are names of `peers`; those with a kernel of their own boot `kernel`, or one that is found.
    """

    config: ZoneConfig
    name: str = DEFAULT_NAME
    text: str = DEFAULT_ZONE
    workloads: tuple[Workload, ...]
    effort: Effort = field(default=FULL)
    processor: int | None = None
    plant_percent: float | None = None
    layers: bool = False
    against: tuple[str, ...] = ()
    kernel: str | None = None
    life_cycle: bool = False
    density: int = 0  # up to so many zones


def measure(context: Context, wish: Wish, *, tell: Callable[[Progress], None]) -> Run:
    """Measure it. After Ctrl-C, what has been measured until then is in the run.

    Raises:
        BenchError: there is no probe.
        UsageError: the processor cannot be used.
        ZonectlError: the reference cannot be measured; or as `runtime.run.running`.

    """
    processor = choose_processor(wish)
    effort = effort_of(wish)
    time_up = deadline.starting(effort.deadline_s)
    limits = budget.written(wish.config.budget, workloads=(each.facts.name for each in CATALOGUE))
    began, started_at = time.monotonic(), _now()
    before = disturbances.read(processor)
    site.clear(context)
    guests.clear(context)
    with ExitStack() as held:
        held.callback(teardown_when_last, context)
        rounds = effort.rounds if wish.life_cycle else 0
        typed = whole.measure(
            context,
            wish.config,
            rounds=rounds,
            most=wish.density,
            after=bool(wish.workloads),
            time_up=time_up,
            tell=tell,
        )
        facts, measured = ARMS, _NOTHING
        if wish.workloads and typed.complete:
            held.enter_context(_out_of_the_way(processor))
            here = _settle(context, wish, processor=processor, held=held, time_up=time_up)
            all_arms = _arms(here, wish, held)
            facts = tuple(arm.facts for arm in all_arms)
            measured = sampling.measure(all_arms, wish.workloads, effort, time_up=time_up, tell=tell)
    after = disturbances.read(processor)
    return Run(
        started_at=started_at,
        duration_s=time.monotonic() - began,
        complete=typed.complete and measured.complete,
        zone=wish.name,
        zone_file=wish.text,
        processor=processor,
        host=machine.host(context.paths.zones_dir, programs=(*PROGRAMS, *catalogue.programs(wish.against))),
        arms=facts,
        workloads=(*(workload.facts for workload in wish.workloads), *typed.workloads),
        series=(*measured.series, *typed.series),
        density=typed.density,
        missing=(*measured.missing, *typed.missing),
        budget=limits,
        warnings=(
            *_cautions(wish),
            *disturbances.warnings(before, after, processor=processor),
        ),
    )


def effort_of(wish: Wish) -> Effort:
    """How much is measured: processes grow older only where it would take too long to start them all anew."""
    boots = any(peer.name in wish.against for peer in MACHINES)
    return replace(wish.effort, young=OLDER) if boots else wish.effort


def choose_processor(wish: Wish) -> int:
    """The wanted processor, or the last of those that this process and the zone may use: the first has interrupts.

    Raises:
        UsageError: it cannot be used by both.

    """
    usable = os.sched_getaffinity(0)
    for listed in (wish.config.process.affinity, wish.config.resources.cpuset):
        usable &= set(parse_cpus(listed)) if listed else usable
    if not usable:
        raise UsageError("the zone may use none of the processors that this process may use")
    if wish.processor is None:
        return max(usable)
    if wish.processor not in usable:
        there = ",".join(map(str, sorted(usable)))
        raise UsageError(f"--processor: {wish.processor} cannot be used, only {there}")
    return wish.processor


def _settle(context: Context, wish: Wish, *, processor: int, held: ExitStack, time_up: Deadline) -> Site:
    """What all arms need, which goes with `held`."""
    probe = held.enter_context(build.using(f"{context.paths.root}/bench"))
    standing = held.enter_context(site.standing(context, wish.config))
    bind = site.make_folder(f"{standing.folder}/bind")
    config = site.fitted(wish.config, probe=probe, bind=bind, processor=processor)
    server = held.enter_context(
        serving.server(config, probe=probe, processor=processor, tasks=wish.workloads)
    )
    return site.Site(
        context=context,
        config=config,
        probe=probe,
        bind=bind,
        processor=processor,
        server=server,
        time_up=time_up,
    )


def _arms(here: Site, wish: Wish, held: ExitStack) -> Sequence[Arm]:
    """Bare metal twice, and then whatever is compared to it."""
    hosts = arms.HostArm(here), arms.HostArm(here, arms.CONTROL)
    if wish.plant_percent is not None:
        return *hosts, arms.PlantedArm(here, wish.plant_percent)
    others: list[Arm] = [arms.ZoneArm(here)]
    if wish.layers:
        others = held.enter_context(layers.rungs(here))
    if wish.against:
        others += held.enter_context(catalogue.arms(here, wish.against, kernel=wish.kernel))
    return *hosts, *others


def _cautions(wish: Wish) -> Iterator[str]:
    """What the two arms differ in that is no wall, and depends on the zone."""
    executing = [each.facts.name for each in wish.workloads if each.facts.group in EXECUTING]
    if executing and not wish.config.root.host and wish.plant_percent is None:
        yield f"the zone's root is not the host's: other programs are executed by {', '.join(executing)}"


@contextmanager
def _out_of_the_way(processor: int) -> Iterator[None]:
    """Have this process on the other processors, if there are any."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, before - {processor} or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
