from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kernel.cgroups.groups import Ground, ground
from tests.vm.cgroups.zone import DISK

if TYPE_CHECKING:
    from collections.abc import Iterator

ALL = ("cpu", "cpuset", "hugetlb", "io", "memory", "pids")
_NUMBERS = itertools.count()


@pytest.fixture
def groups() -> Iterator[Ground]:
    """A subtree of the test's own, with every controller."""
    with ground(f"test-{next(_NUMBERS)}", controllers=ALL) as own:
        yield own


@pytest.fixture
def cost_model() -> Iterator[None]:
    """Weights are heeded on disks whose cost model is on; off again, the kernel keeps taking them."""
    number = Path(f"/sys/block/{Path(DISK).name}/dev").read_text().strip()
    costs = Path("/sys/fs/cgroup/io.cost.qos")
    costs.write_text(f"{number} enable=1")
    try:
        yield
    finally:
        costs.write_text(f"{number} enable=0")
