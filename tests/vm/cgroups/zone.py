"""Zones of these tests: their groups are made by the steps of a start."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.kernel.cgroups.groups import ZONE, Ground
from zonectl.model.config import IoLimit, ResourcesConfig

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1024**2
OTHER = "zonectl-test/0a1b2c3e"
SCRATCH = Path("/scratch")
DISK = os.environ.get("ZONECTL_LANE_DISK", "/dev/vda")
OWNER = 100_000

EVERYTHING = ResourcesConfig(
    cpus=1.5,
    cpu_weight=200,
    cpuset="0-1",
    cpuset_mems="0",
    memory_bytes=512 * MIB,
    memory_high_bytes=384 * MIB,
    memory_low_bytes=8 * MIB,
    memory_min_bytes=4 * MIB,
    swap_bytes=0,
    oom_group=True,
    pids=512,
    io_weight=50,
    io=(IoLimit(device=DISK, read_bps=50_000_000, write_iops=200, weight=20),),
    hugetlb=(("2MB", 4 * MIB),),
)


def zone_with_all(groups: Ground) -> Path:
    groups.make(EVERYTHING)
    return groups.path(ZONE)


def spin(wall_s: float) -> Callable[[], int]:
    def run() -> int:
        deadline = time.monotonic() + wall_s
        while time.monotonic() < deadline:
            pass
        return 0

    return run


def usage(groups: Ground, group: str) -> int:
    found = groups.tree.stats(group).cpu
    assert found is not None
    return found.usage_us
