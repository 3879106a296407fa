"""Tests here run in the lane alone: they take the whole machine, and expect pure cgroup v2."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests import requirements

HOW = "run them with: python -m tests.vm"


@pytest.fixture(scope="session", autouse=True)
def _in_the_lane() -> None:
    if "ZONECTL_LANE" not in os.environ:
        requirements.leave(f"not in the lane; {HOW}")
    assert cgroup_mounts() == [("/sys/fs/cgroup", "cgroup2")], "the lane has no pure cgroup v2"


def cgroup_mounts() -> list[tuple[str, str]]:
    lines = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    return [(path, kind) for _, path, kind, *_ in lines if kind in {"cgroup", "cgroup2"}]
