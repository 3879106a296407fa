"""Disks and huge pages."""

from __future__ import annotations

import mmap
import os
import subprocess
import time
from contextlib import contextmanager
from errno import ENOMEM
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kernel.cgroups.groups import ZONE, Ground
from tests.patience import eventually
from tests.vm.cgroups.zone import DISK, MIB, OTHER, SCRATCH
from zonectl.errors import HostLacks
from zonectl.kernel import host
from zonectl.model.config import IoLimit, ResourcesConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


MAP_HUGETLB = 0x40000


def write_directly(path: Path, size: int) -> Callable[[], int]:
    def run() -> int:
        block = mmap.mmap(-1, MIB // 4)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_DIRECT)
        for _ in range(size // len(block)):
            os.write(fd, block)
        return 0

    return run


def read_directly(path: Path, size: int) -> Callable[[], int]:
    def run() -> int:
        block = mmap.mmap(-1, MIB // 4)
        fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
        for _ in range(size // len(block)):
            os.readv(fd, [block])
        return 0

    return run


def timed(function: Callable[[], int], groups: Ground, group: str) -> float:
    begun = time.monotonic()
    assert groups.run(function, f"{group}/payload") == 0
    return time.monotonic() - begun


@pytest.mark.parametrize(
    "limit",
    [
        IoLimit(device=DISK, write_bps=MIB, read_bps=MIB),
        IoLimit(device=DISK, write_iops=4, read_iops=4),
    ],
    ids=["bytes", "operations"],
)
def test_a_disk_is_no_faster_than_allowed(groups: Ground, limit: IoLimit) -> None:
    groups.make(ResourcesConfig(io=(limit,)))
    groups.make(ResourcesConfig(pids=100), group=OTHER)
    path = SCRATCH / "io"
    size = 4 * MIB  # 16 operations of 256 KiB: 4 s at either limit
    try:
        for direction in (write_directly, read_directly):
            free_s = timed(direction(path, size), groups, OTHER)
            limited_s = timed(direction(path, size), groups, ZONE)
            assert limited_s > 3.2
            assert free_s < limited_s / 2
    finally:
        path.unlink()
    found = groups.tree.stats(ZONE).io
    assert found is not None
    (used,) = (line for line in found if line.device == groups.read("io.max").split()[0])
    assert used.write_bytes >= size
    assert used.read_bytes >= size


def test_a_disk_that_heeds_no_weights_says_so(groups: Ground) -> None:
    """A new one: a disk whose cost model was on goes on taking weights."""
    assert not host.host_facts().cgroup.io_weights
    with partition() as node:
        disk = node.removesuffix("p1")
        with pytest.raises(HostLacks, match=f"^{disk} does not heed io.weight: its cost model is off$"):
            groups.make(ResourcesConfig(io=(IoLimit(device=disk, weight=50),)))


@pytest.mark.usefixtures("cost_model")
def test_io_weights_are_written(groups: Ground) -> None:
    assert host.host_facts().cgroup.io_weights
    groups.make(ResourcesConfig(io_weight=300, io=(IoLimit(device=DISK, weight=50),)))
    assert groups.read("io.weight").splitlines()[0] == "default 300"
    assert groups.read("io.weight").splitlines()[1].endswith(" 50")


@contextmanager
def partition() -> Iterator[str]:
    """A disk with a partition: a loop device on a file."""
    image = SCRATCH / "disk"
    with image.open("wb") as file:
        file.truncate(16 * MIB)
    argv = ["/usr/sbin/losetup", "--find", "--show", "--partscan", str(image)]
    loop = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()
    try:
        subprocess.run(["addpart", loop, "1", "2048", "8192"], check=True)
        assert eventually(Path(f"{loop}p1").exists)
        yield f"{loop}p1"
    finally:
        subprocess.run(["/usr/sbin/losetup", "--detach", loop], check=True)
        image.unlink()


def test_a_partition_is_answered_with_its_disk(groups: Ground) -> None:
    with partition() as node:
        disk = node.removesuffix("p1")
        with pytest.raises(HostLacks, match=f"^{node} is a partition") as caught:
            groups.make(ResourcesConfig(io=(IoLimit(device=node, read_bps=MIB),)))
        assert caught.value.hint == f"name the disk that it is part of: {disk}"
        numbers = Path(f"/sys/block/{Path(disk).name}/{Path(node).name}/dev").read_text().strip()
        with pytest.raises(OSError, match="No such device"):
            (groups.path(ZONE) / "io.max").write_text(f"{numbers} rbps=1000")


def test_a_path_on_a_disk_is_answered_with_the_disk(groups: Ground) -> None:
    with pytest.raises(HostLacks, match=r"^/scratch is not a block device") as caught:
        groups.make(ResourcesConfig(io=(IoLimit(device="/scratch", read_bps=MIB),)))
    assert caught.value.hint == f"name the disk that it is stored on: {DISK}"


def map_huge(pages: int) -> Callable[[], int]:
    def run() -> int:
        try:
            memory = mmap.mmap(-1, pages * 2 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_HUGETLB)
        except OSError as error:
            return error.errno or 0
        for page in range(pages):
            memory[page * 2 * MIB] = 1
        return 0

    return run


def test_huge_pages_are_refused_where_they_are_asked_for(groups: Ground) -> None:
    pool = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")
    pool.write_text("4")
    try:
        assert pool.read_text() == "4\n"
        groups.make(ResourcesConfig(hugetlb=(("2MB", 4 * MIB),)))
        assert groups.run(map_huge(2)) == 0
        assert groups.run(map_huge(3)) == ENOMEM
        groups.make(group=OTHER)
        assert groups.run(map_huge(3), f"{OTHER}/payload") == 0
    finally:
        pool.write_text("0")
