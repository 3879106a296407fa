"""What can be measured: the catalogue of workloads, each with what it stresses and what it needs.

A workload is something that the probe can be told to do (`asks`), with settings that are the same everywhere
(`settings`) and at most one that depends on where the probe runs (`needs`). So the same work may stand here twice: on
the root, and on a folder that is bound into it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, assert_never

from zonectl.bench.results import WorkloadFacts
from zonectl.config.nearest import nearest
from zonectl.errors import BenchError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zonectl.bench.runner import Place


class Extent(enum.StrEnum):
    """Which runs a workload is part of."""

    QUICK = "quick"  # of every run
    FULL = "full"  # of runs that are not --quick
    ASKED = "asked"  # only when it is named


class Need(enum.StrEnum):
    """What a workload must be told of the place where the probe runs."""

    ROOT_FOLDER = "root folder"
    BIND_FOLDER = "bind folder"
    SERVER = "server"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Something to measure."""

    facts: WorkloadFacts
    asks: str  # what the probe calls it
    extent: Extent
    needs: Need | None = None
    settings: tuple[tuple[str, str], ...] = ()

    def settings_at(self, place: Place) -> dict[str, str]:
        """What the probe that runs there is to be told.

        Raises:
            BenchError: the place has nothing of what the workload needs.

        """
        return dict(self.settings) | _told(self.needs, place)


def _told(need: Need | None, place: Place) -> dict[str, str]:
    match need:
        case None:
            return {}
        case Need.ROOT_FOLDER:
            return {"folder": place.root_folder}
        case Need.BIND_FOLDER:
            return {"folder": _there(place.bind_folder, "no folder is bound from the host")}
        case Need.SERVER:
            return {"server": _there(place.server, "no network")}
        case _:
            assert_never(need)


def _there(value: str | None, otherwise: str) -> str:
    if value is None:
        raise BenchError(otherwise)
    return value


def _workload(
    name: str,
    group: str,
    *,
    stresses: str,
    operation: str,
    extent: Extent = Extent.FULL,
    asks: str | None = None,
    needs: Need | None = None,
    settings: tuple[tuple[str, str], ...] = (),
) -> Workload:
    facts = WorkloadFacts(name=name, group=group, stresses=stresses, operation=operation)
    return Workload(facts=facts, asks=asks or name, extent=extent, needs=needs, settings=settings)


CATALOGUE: Final = (
    _workload(
        "integer",
        "cpu",
        stresses="integer units, branches, the first cache: 64 words drawn, sorted and summed up by CRC-32",
        operation="block of 64 words",
        extent=Extent.QUICK,
    ),
    _workload(
        "floating",
        "cpu",
        stresses="floating point: five bodies that attract each other",
        operation="step of time",
        extent=Extent.QUICK,
    ),
    _workload(
        "spin",
        "cpu",
        stresses="nothing but one processor's clock: a loop that cannot be shortened",
        operation="1000 turns",
        extent=Extent.ASKED,
    ),
    _workload(
        "getpid",
        "system calls",
        stresses="the way into the kernel and back: seccomp, auditing, mitigations",
        operation="call",
        extent=Extent.QUICK,
    ),
    _workload(
        "clock",
        "system calls",
        stresses="reading the clock without a system call (vDSO): a control that few walls should touch",
        operation="call",
    ),
    _workload(
        "pipe",
        "system calls",
        stresses="two small calls on descriptors: a byte written to a pipe and read from it by one process",
        operation="byte there and back",
    ),
)


def named(word: str) -> tuple[Workload, ...]:
    """The workload of that name, or those of the group that a full run has.

    Raises:
        UsageError: there is none.

    """
    exact = tuple(workload for workload in CATALOGUE if workload.facts.name == word)
    group = tuple(
        workload
        for workload in CATALOGUE
        if workload.facts.group == word and workload.extent is not Extent.ASKED
    )
    if not exact and not group:
        meant = nearest(word, _words())
        hint = f"did you mean {meant}?" if meant else "zonectl bench list shows them"
        raise UsageError(f"there is no workload or group of them named {word!r}", hint=hint)
    return exact or group


def chosen(words: Iterable[str], *, extent: Extent) -> tuple[Workload, ...]:
    """What a run measures, in the catalogue's order: what is named; without names, all that its extent has.

    Raises:
        UsageError: a word names nothing.

    """
    wanted = {workload.facts.name for word in words for workload in named(word)}
    if not wanted:
        extents = {Extent.QUICK, extent}
        wanted = {workload.facts.name for workload in CATALOGUE if workload.extent in extents}
    return tuple(workload for workload in CATALOGUE if workload.facts.name in wanted)


def _words() -> list[str]:
    names = [workload.facts.name for workload in CATALOGUE]
    return [*names, *sorted({workload.facts.group for workload in CATALOGUE})]
