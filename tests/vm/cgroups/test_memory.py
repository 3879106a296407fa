"""Memory and swap: killing, slowing, sparing."""

from __future__ import annotations

import mmap
import os
import signal
import subprocess
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from tests.kernel.cgroups.groups import ZONE, Ground, sleep
from tests.patience import eventually
from tests.vm.cgroups.zone import MIB, OTHER, SCRATCH
from zonectl.cgroups.steps.kinds import MakeGroup
from zonectl.kernel import host
from zonectl.model.config import ResourcesConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SWAP_PEAKS = (6, 5)
"""The first kernel with memory.swap.peak; before, that one is killed and the other not is all there is to see."""


def eat(size: int, *, then: Callable[[], int] = lambda: 0) -> Callable[[], int]:
    """A process that writes to `size` bytes of memory of its own."""

    def run() -> int:
        memory = mmap.mmap(-1, size)
        for offset in range(0, size, mmap.PAGESIZE):
            memory[offset] = 1
        return then()

    return run


def oom_kills(groups: Ground, group: str = ZONE) -> int:
    memory = groups.tree.stats(group).memory
    assert memory is not None
    return memory.events.oom_kill


def test_out_of_memory_stays_inside(groups: Ground) -> None:
    groups.make(ResourcesConfig(memory_bytes=16 * MIB, swap_bytes=0))
    groups.make(ResourcesConfig(memory_bytes=256 * MIB), group=OTHER)
    with groups.running(sleep, f"{OTHER}/payload") as neighbour:
        assert groups.run(eat(4 * MIB)) == 0
        assert oom_kills(groups) == 0
        assert groups.run(eat(64 * MIB)) == -signal.SIGKILL
        assert oom_kills(groups) == 1
        assert groups.tree.processes(OTHER) == [neighbour]
        assert oom_kills(groups, OTHER) == 0
        assert groups.run(eat(64 * MIB), f"{OTHER}/payload") == 0
    found = groups.tree.stats(ZONE).memory
    assert found is not None
    assert found.max_bytes == 16 * MIB
    assert 8 * MIB < (found.peak_bytes or 0) <= 16 * MIB


@pytest.mark.parametrize("oom_group", [False, True])
@pytest.mark.fault(
    "a zone runs out of memory, with and without `oom_group`",
    "all of its processes are killed, or the largest one",
)
def test_the_whole_zone_is_killed_if_asked(groups: Ground, oom_group: bool) -> None:
    groups.make(ResourcesConfig(memory_bytes=16 * MIB, swap_bytes=0, oom_group=oom_group))
    with groups.running(sleep) as bystander:
        assert groups.run(eat(64 * MIB)) == -signal.SIGKILL
        timeout_s = 20 if oom_group else 1
        survived = not eventually(lambda: not groups.tree.is_populated(ZONE), timeout_s=timeout_s)
        assert survived is not oom_group
        assert groups.tree.processes(ZONE) == ([] if oom_group else [bystander])


def test_memory_high_slows_and_does_not_kill(groups: Ground) -> None:
    groups.make(ResourcesConfig(memory_high_bytes=16 * MIB))
    path = SCRATCH / "high"

    def fill() -> int:
        with path.open("wb") as file:
            for _ in range(48):
                file.write(bytes(MIB))
        return 0

    try:
        assert groups.run(fill) == 0
        found = groups.tree.stats(ZONE).memory
        assert found is not None
        assert found.events.high > 0
        assert found.events.oom_kill == 0
        assert found.current_bytes < 24 * MIB
    finally:
        path.unlink()


@contextmanager
def swap_file() -> Iterator[None]:
    path = SCRATCH / "swap"
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 96 * MIB)
    path.chmod(0o600)
    subprocess.run(["/usr/sbin/mkswap", path], check=True, capture_output=True)
    subprocess.run(["/usr/sbin/swapon", path], check=True)
    try:
        yield
    finally:
        subprocess.run(["/usr/sbin/swapoff", path], check=True)
        path.unlink()


def test_swap_is_limited_apart_from_memory(groups: Ground) -> None:
    with swap_file():
        groups.make(ResourcesConfig(memory_bytes=16 * MIB, swap_bytes=0))
        groups.make(ResourcesConfig(memory_bytes=16 * MIB, swap_bytes=64 * MIB), group=OTHER)
        assert groups.run(eat(40 * MIB)) == -signal.SIGKILL
        assert groups.run(eat(40 * MIB), f"{OTHER}/payload") == 0
        if host.kernel_version(os.uname().release) >= SWAP_PEAKS:
            assert int(groups.read("memory.swap.peak")) == 0
            assert int(groups.read("memory.swap.peak", OTHER)) > 8 * MIB


def cached(groups: Ground, group: str) -> int:
    found = groups.tree.stats(group).memory
    assert found is not None
    return found.file_bytes


def fill_cache(path: Path) -> Callable[[], int]:
    """A process that leaves 24 MiB of clean page cache behind, which any reclaim may take."""

    def run() -> int:
        with path.open("wb") as file:
            file.write(bytes(24 * MIB))
            os.fsync(file.fileno())
        return 0

    return run


@pytest.mark.parametrize(
    ("file", "config"),
    [
        ("memory.min", ResourcesConfig(memory_min_bytes=32 * MIB)),
        ("memory.low", ResourcesConfig(memory_low_bytes=32 * MIB)),
    ],
)
def test_protected_memory_is_spared(groups: Ground, file: str, config: ResourcesConfig) -> None:
    """It is not where the instance has no protection: then the same reclaim takes it."""
    base = groups.path("x").parent
    (base / file).write_text("max")
    groups.make(config)
    groups.make(ResourcesConfig(memory_bytes=256 * MIB), group=OTHER)
    paths = {group: SCRATCH / group.rpartition("/")[2] for group in (ZONE, OTHER)}
    try:
        for group, path in paths.items():
            assert groups.run(fill_cache(path), f"{group}/payload") == 0
            assert cached(groups, group) > 20 * MIB
        reclaim(base, 16 * MIB)
        assert cached(groups, ZONE) > 20 * MIB
        assert cached(groups, OTHER) < 12 * MIB
        (groups.path("zonectl-test") / file).write_text("0")
        reclaim(base, 16 * MIB)
        assert cached(groups, ZONE) < 20 * MIB
    finally:
        for path in paths.values():
            path.unlink(missing_ok=True)


def reclaim(group: Path, size: int) -> None:
    with suppress(BlockingIOError):  # EAGAIN: less than that could be had
        (group / "memory.reclaim").write_text(str(size))


def test_the_instance_protects_the_sum_of_its_zones(groups: Ground) -> None:
    groups.make(ResourcesConfig(memory_low_bytes=3 * MIB))
    groups.make(ResourcesConfig(memory_low_bytes=5 * MIB), group=OTHER)
    assert groups.read("memory.low", "zonectl-test") == str(8 * MIB)
    groups.tree.remove(ZONE)
    assert groups.read("memory.low", "zonectl-test") == str(5 * MIB)
    groups.tree.undo(MakeGroup(path=str(groups.path(OTHER))))
    assert groups.read("memory.low", "zonectl-test") == "0"
    assert groups.read("memory.min", "zonectl-test") == "0"
