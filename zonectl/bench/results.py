"""What a run of the benchmark measured: raw samples and where they came from, with nothing derived.

Every sample is a time in nanoseconds per operation, so less is better everywhere, and a ratio above 1 is a loss.
"""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass

SCHEMA_VERSION = 1


class Kind(enum.StrEnum):
    """What an arm is there for."""

    BARE = "bare"  # the reference: on the host
    CONTROL = "control"  # the same once more: what differs between the two is noise
    ZONE = "zone"  # a zone as its file says
    LAYER = "layer"  # a rung between bare metal and zone
    PEER = "peer"  # another program, or another kind of isolation


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmFacts:
    """An arm as reports name it."""

    name: str  # unique in a run: "bare", "control", "zone", "pid", "crun"
    kind: Kind
    title: str  # for people: "pid namespace"
    differs: str  # what it has that the arm `after` (or the bare one) has not, in a line
    after: str | None = None  # the rung below, whose cost is taken off for this one's own
    family: str | None = None  # of a peer: "operating system", "hardware virtualization", ...
    claimed: str | None = None  # the loss that is usually claimed for the family: "1..3 %"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadFacts:
    """A workload as reports name it."""

    name: str  # unique in a run: "getpid"
    group: str  # "cpu", "memory", "system calls", "processes", "files", "network", "composite", "witness", "life cycle"
    stresses: str  # what it stresses, in a line
    operation: str  # what one operation is: "call", "4 KiB page", "round trip", "MiB"


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The samples of one workload in one arm."""

    workload: str
    arm: str
    loops: int  # operations in a sample
    rounds: tuple[tuple[float, ...], ...]  # for each round, in order, its samples: nanoseconds per operation


@dataclass(frozen=True, slots=True, kw_only=True)
class DensityPoint:
    """What one more zone cost when so many were running already."""

    zones: int
    create_ns: float
    start_ns: float
    exec_ns: float
    list_ns: float
    kernel_bytes: float  # a zone, all that is not its processes': slab, page tables, tables of networks
    user_bytes: float  # a zone, proportional set size of its processes


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """What was asked for, or belongs to a run, and was not measured: with the reason."""

    name: str  # a workload, an arm, or "workload in arm"
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """The machine and what ran on it."""

    kernel: str  # release, as uname(2) says
    processor: str  # model name
    processors: int
    memory_bytes: int
    virtualization: str | None  # "kvm"; None on bare metal or where it cannot be told
    file_system: str  # type of the one below both arms
    versions: dict[str, str] = dataclasses.field(
        default_factory=dict
    )  # "zonectl", "python", "cc", peers' programs


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of the benchmark, whole or broken off."""

    started_at: str  # RFC 3339, UTC
    duration_s: float
    complete: bool  # False: Ctrl-C, or nothing to compare with was left
    zone: str  # name of the zone or zone file measured; "default" for the built-in one
    zone_file: str  # its text, for who wants to repeat it
    processor: int  # that everything was pinned to
    host: Host
    arms: tuple[ArmFacts, ...]
    workloads: tuple[WorkloadFacts, ...]
    series: tuple[Series, ...]
    density: tuple[DensityPoint, ...] = ()
    missing: tuple[Missing, ...] = ()
    warnings: tuple[str, ...] = ()  # about the machine: pressure, steal, frequency
    budget: dict[str, str] = dataclasses.field(default_factory=dict)  # as in the zone file: {"cpu": "3%"}
    schema_version: int = SCHEMA_VERSION

    def find(self, workload: str, arm: str) -> Series | None:
        """The series of the workload in the arm, if both were measured together."""
        return next((s for s in self.series if (s.workload, s.arm) == (workload, arm)), None)

    def arm(self, kind: Kind) -> ArmFacts | None:
        """The first arm of the kind."""
        return next((arm for arm in self.arms if arm.kind is kind), None)

    def lost(self) -> Missing | None:
        """The arm that the others are nothing without, if the run was broken off for the want of it: nobody did it."""
        needed = {arm.name for arm in self.arms if arm.kind in {Kind.BARE, Kind.ZONE}}
        return None if self.complete else next((each for each in self.missing if each.name in needed), None)
