"""Small runs made up for what judges them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.bench.results import ArmFacts, Host, Kind, Run, Series, WorkloadFacts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GROUPS = {"integer": "cpu", "floating": "cpu", "getpid": "system calls", "zonectl start": "life cycle"}
"""The workloads of such a run."""

HOST = Host(kernel="6", processor="x", processors=1, memory_bytes=1, virtualization=None, file_system="ext4")
ARMS = (
    *(ArmFacts(name=kind.value, kind=kind, title="", differs="") for kind in list(Kind)[:3]),
    ArmFacts(name="pid", kind=Kind.LAYER, title="", differs=""),
    ArmFacts(name="user", kind=Kind.LAYER, title="", differs="", after="pid"),
)


def made_run(measured: Mapping[str, Mapping[str, Sequence[float]]], *, host: Host = HOST) -> Run:
    """A run of these workloads and arms: the milliseconds of each round."""
    series = [
        Series(workload=workload, arm=arm, loops=1, rounds=tuple((ms * 1e6,) for ms in rounds))
        for workload, arms in measured.items()
        for arm, rounds in arms.items()
    ]
    workloads = [
        WorkloadFacts(name=name, group=group, stresses="", operation="") for name, group in GROUPS.items()
    ]
    return Run(
        started_at="2026-01-01T00:00:00+00:00",
        duration_s=1,
        complete=True,
        zone="web",
        zone_file="",
        processor=0,
        host=host,
        arms=ARMS,
        workloads=tuple(workloads),
        series=tuple(series),
    )
