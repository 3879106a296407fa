"""The costs of the layers come to the cost of the zone, whatever could not be measured in between."""

from __future__ import annotations

import math
import random

import pytest

from tests.unit.bench.test_rungs import BASE, SPARSE
from zonectl.bench.arms import BARE, CONTROL, ZONE
from zonectl.bench.layers.rungs import ladder, on_top
from zonectl.bench.report import stack
from zonectl.bench.report.findings import Findings, derive
from zonectl.bench.results import Host, Run, Series, WorkloadFacts

GETPID = WorkloadFacts(
    name="getpid", group="system calls", stresses="the way into the kernel", operation="call"
)
HOST = Host(
    kernel="6.12", processor="", processors=2, memory_bytes=1, virtualization=None, file_system="ext4"
)
RUNGS = ladder(SPARSE, base=BASE)
ARMS = (BARE, CONTROL, *(rung.facts for rung in RUNGS), on_top(ZONE, RUNGS))
BESIDE = "limits"


def _rounds(seed: str) -> tuple[tuple[float, float], ...]:
    chance = random.Random(seed)
    return tuple((chance.uniform(90, 150), chance.uniform(90, 150)) for _ in range(6))


def found(*missing: str) -> Findings:
    series = tuple(
        Series(
            workload="getpid",
            arm=arm.name,
            loops=1,
            rounds=_rounds(arm.name),
        )
        for arm in ARMS
        if arm.name not in missing
    )
    return derive(
        Run(
            started_at="2026-01-01T00:00:00+00:00",
            duration_s=1.0,
            complete=True,
            zone="web",
            zone_file="",
            processor=1,
            host=HOST,
            arms=ARMS,
            workloads=(GETPID,),
            series=series,
        )
    )


@pytest.mark.parametrize(
    "missing", [(), ("limits",), ("chroot",), ("host",), ("chroot", "pid", "limits"), ("masks",)], ids=str
)
def test_in_each_round_the_layers_make_up_the_zone(missing: tuple[str, ...]) -> None:
    findings = found(*missing)
    assert findings.zone
    assert {row.arm.name for row in findings.ladder} - {row.arm.name for row in findings.chain} <= {BESIDE}
    for number, whole in enumerate(findings.zone.cells["getpid"].ratios):
        assert math.prod(row.cells["getpid"].ratios[number] for row in findings.chain) == pytest.approx(whole)


def test_the_rung_above_a_gap_is_compared_with_the_one_below_it() -> None:
    whole = {row.arm.name: row.cells["getpid"] for row in found().ladder}
    rows = {row.arm.name: row.cells["getpid"] for row in found("chroot").ladder}
    assert set(whole) - set(rows) == {"chroot"}
    both = zip(whole["chroot"].ratios, whole["mnt"].ratios, strict=True)
    assert rows["mnt"].ratios == pytest.approx([changed * mounted for changed, mounted in both])


def test_what_stands_beside_is_told_and_not_added_up() -> None:
    findings = found()
    assert BESIDE in {row.arm.name for row in findings.ladder}
    assert BESIDE not in {row.arm.name for row in findings.chain}
    assert "limits (beside)" not in {piece.layer for bar in stack.bars(findings) for piece in bar.pieces}


def test_a_workload_that_no_rung_was_measured_in_has_no_rest() -> None:
    findings = found(*(rung.facts.name for rung in RUNGS))
    assert findings.zone
    assert findings.ladder == ()
