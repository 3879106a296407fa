"""Limits against a kernel that has every controller on version 2. Each is applied by the steps of a start.

Nothing is written by hand but what the tests measure with: the base's own, and what the "zone" does inside.
"""

from __future__ import annotations

import itertools
import mmap
import os
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from errno import EAGAIN, EINVAL, ENOMEM, ERANGE
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kernel.cgroups import tracing
from tests.kernel.cgroups.groups import PAYLOAD, ZONE, Ground, eventually, ground, sleep
from zonectl.cgroups import cpu, io
from zonectl.cgroups.steps import changes, steps
from zonectl.cgroups.steps.kinds import EnableControllers, MakeGroup, WriteDeviceLimit, WriteLimit
from zonectl.errors import HostLacks, SyscallError
from zonectl.kernel import host, process
from zonectl.model.config import IoLimit, ResourcesConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MIB = 1024**2
ALL = ("cpu", "cpuset", "hugetlb", "io", "memory", "pids")
OTHER = "zonectl-test/0a1b2c3e"
SCRATCH = Path("/scratch")
DISK = os.environ.get("ZONECTL_LANE_DISK", "/dev/vda")
MAP_HUGETLB = 0x40000
OWNER = 100_000
_NUMBERS = itertools.count()


@pytest.fixture
def groups() -> Iterator[Ground]:
    with ground(f"test-{next(_NUMBERS)}", controllers=ALL) as own:
        yield own


def eat(size: int, *, then: Callable[[], int] = lambda: 0) -> Callable[[], int]:
    """A process that writes to `size` bytes of memory of its own."""

    def run() -> int:
        memory = mmap.mmap(-1, size)
        for offset in range(0, size, mmap.PAGESIZE):
            memory[offset] = 1
        return then()

    return run


def spin(wall_s: float) -> Callable[[], int]:
    def run() -> int:
        deadline = time.monotonic() + wall_s
        while time.monotonic() < deadline:
            pass
        return 0

    return run


def oom_kills(groups: Ground, group: str = ZONE) -> int:
    memory = groups.tree.stats(group).memory
    assert memory is not None
    return memory.events.oom_kill


# ---------------------------------------------------------------------------------------------------------- memory


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
def test_the_whole_zone_is_killed_if_asked(groups: Ground, oom_group: bool) -> None:
    groups.make(ResourcesConfig(memory_bytes=16 * MIB, swap_bytes=0, oom_group=oom_group))
    with groups.running(sleep) as bystander:
        assert groups.run(eat(64 * MIB)) == -signal.SIGKILL
        survived = not eventually(lambda: not groups.tree.is_populated(ZONE), timeout_s=1)
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


# ------------------------------------------------------------------------------------------------- pids, cpu, cpuset


def forks_until_refused() -> int:
    """How many processes there are when fork(2) fails, this one included; 255 if never."""
    children = []
    try:
        for _ in range(100):
            pid = os.fork()
            if pid == 0:
                time.sleep(300)
                os._exit(0)
            children.append(pid)
    except OSError as error:
        return len(children) + 1 if error.errno == EAGAIN else 254
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return 255


@pytest.mark.parametrize("limit", [1, 7])
def test_fork_fails_at_pids_max(groups: Ground, limit: int) -> None:
    groups.make(ResourcesConfig(pids=limit))
    assert groups.run(forks_until_refused) == limit
    found = groups.tree.stats(ZONE).pids
    assert found is not None
    assert (found.max, found.current) == (limit, 0)
    assert found.refused >= 1
    assert found.peak == limit


def test_fork_goes_on_without_pids_max(groups: Ground) -> None:
    groups.make(ResourcesConfig())
    assert groups.run(forks_until_refused) == 255


def test_processor_time_stays_within_its_quota(groups: Ground) -> None:
    config = ResourcesConfig(cpus=0.2, cpu_period_us=50_000)
    groups.make(config)
    groups.make(ResourcesConfig(cpu_weight=100), group=OTHER)
    with groups.running(spin(6)) as first, groups.running(spin(6), f"{OTHER}/payload") as second:
        os.waitpid(first, 0)
        os.waitpid(second, 0)
    limited, free = groups.tree.stats(ZONE).cpu, groups.tree.stats(OTHER).cpu
    assert limited is not None
    assert free is not None
    assert limited.nr_periods is not None
    quota_us = cpu.quota_us(0.2, period_us=50_000)
    assert limited.nr_periods >= 20
    assert limited.usage_us <= 1.05 * limited.nr_periods * quota_us
    assert limited.usage_us >= 0.5 * limited.nr_periods * quota_us
    assert limited.nr_throttled
    # The same work without the limit breaks the bound: it could have been broken.
    assert free.usage_us > 1.05 * limited.nr_periods * quota_us


def test_weights_share_a_busy_processor(groups: Ground) -> None:
    groups.make(ResourcesConfig(cpu_weight=400, cpuset="0"))
    groups.make(ResourcesConfig(cpu_weight=100, cpuset="0"), group=OTHER)
    with groups.running(spin(60)), groups.running(spin(60), f"{OTHER}/payload"):
        time.sleep(2)
        before = [usage(groups, group) for group in (ZONE, OTHER)]
        time.sleep(6)
        after = [usage(groups, group) for group in (ZONE, OTHER)]
    heavy, light = (b - a for a, b in zip(before, after, strict=True))
    assert 3 < heavy / light < 5


def usage(groups: Ground, group: str) -> int:
    found = groups.tree.stats(group).cpu
    assert found is not None
    return found.usage_us


@pytest.mark.parametrize("cpus", ["0", "1", "0-1"])
def test_a_zone_runs_on_its_processors(groups: Ground, cpus: str) -> None:
    groups.make(ResourcesConfig(cpuset=cpus, cpuset_mems="0"))
    expected = {int(number) for number in cpus.split("-")}

    def look() -> int:
        return 0 if os.sched_getaffinity(0) == expected else 1

    def break_out() -> int:
        with suppress(OSError):
            os.sched_setaffinity(0, {0, 1})
        return look()

    assert groups.run(look) == 0
    assert groups.run(break_out) == 0


@pytest.mark.parametrize("config", [ResourcesConfig(cpuset="7"), ResourcesConfig(cpuset_mems="5")])
def test_processors_and_nodes_that_are_not_there_are_refused(groups: Ground, config: ResourcesConfig) -> None:
    with pytest.raises((SyscallError, HostLacks)):
        groups.make(config)


def test_a_processor_that_is_offline_is_refused(groups: Ground) -> None:
    """The kernel takes it, and then lets the zone run everywhere."""
    online = Path("/sys/devices/system/cpu/cpu1/online")
    online.write_text("0")
    try:
        with pytest.raises(HostLacks, match=r"cpuset\.cpus 1: none of them is online") as caught:
            groups.make(ResourcesConfig(cpuset="1"))
        assert caught.value.hint == "here are 0"
        groups.make(ResourcesConfig(cpuset="0-1"), group=OTHER)
    finally:
        online.write_text("1")


# ------------------------------------------------------------------------------------------------- disks, huge pages


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


def test_a_disk_that_heeds_no_weights_says_so(groups: Ground) -> None:
    """Before any test that turns its cost model on: a disk does not forget it."""
    assert not host.host_facts().cgroup.io_weights
    with pytest.raises(HostLacks, match=f"^{DISK} does not heed io.weight: its cost model is off$"):
        groups.make(ResourcesConfig(io=(IoLimit(device=DISK, weight=50),)))


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


# ---------------------------------------------------------------------------------------- boundaries, by the kernel


@pytest.mark.usefixtures("cost_model")
@pytest.mark.parametrize(
    ("file", "value", "errno"),
    [
        ("cpu.weight", cpu.WEIGHT[0] - 1, ERANGE),
        ("cpu.weight", cpu.WEIGHT[0], None),
        ("cpu.weight", cpu.WEIGHT[1], None),
        ("cpu.weight", cpu.WEIGHT[1] + 1, ERANGE),
        ("cpu.max", f"{cpu.MIN_QUOTA_US - 1} 100000", EINVAL),
        ("cpu.max", f"{cpu.MIN_QUOTA_US} 100000", None),
        ("cpu.max", f"1000 {cpu.PERIOD_US[0] - 1}", EINVAL),
        ("cpu.max", f"1000 {cpu.PERIOD_US[0]}", None),
        ("cpu.max", f"1000 {cpu.PERIOD_US[1]}", None),
        ("cpu.max", f"1000 {cpu.PERIOD_US[1] + 1}", EINVAL),
        ("cpu.max", f"{1024 * 1_000_000} 1000000", None),
        ("io.weight", f"default {io.WEIGHT[0] - 1}", EINVAL),
        ("io.weight", f"default {io.WEIGHT[0]}", None),
        ("io.weight", f"default {io.WEIGHT[1]}", None),
        ("io.weight", f"default {io.WEIGHT[1] + 1}", EINVAL),
        ("pids.max", 0, None),
        ("pids.max", 4_194_304, None),
        ("pids.max", 4_194_305, EINVAL),
        ("memory.max", 2**63 - 1, None),
        ("memory.low", 0, None),
    ],
)
def test_boundaries_are_the_kernels(groups: Ground, file: str, value: object, errno: int | None) -> None:
    step = WriteLimit(path=str(zone_with_all(groups)), file=file, value=str(value), summary="")
    if errno is None:
        groups.tree.apply(step)
    else:
        with pytest.raises(SyscallError) as caught:
            groups.tree.apply(step)
        assert caught.value.errno == errno


@pytest.mark.usefixtures("cost_model")
@pytest.mark.parametrize(
    ("value", "errno"),
    [
        ("rbps=0", ERANGE),
        *((f"{name}={io.LEAST_RATE - 1}", EINVAL) for name in ("rbps", "wbps", "riops", "wiops")),
        *((f"{name}={io.LEAST_RATE}", None) for name in ("rbps", "wbps", "riops", "wiops")),
        ("riops=0", ERANGE),
        (f"riops={2**32 - 2}", None),
        ("nonsense=1", EINVAL),
    ],
)
def test_boundaries_of_a_disk_are_the_kernels(groups: Ground, value: str, errno: int | None) -> None:
    step = WriteDeviceLimit(
        path=str(zone_with_all(groups)), file="io.max", device=DISK, value=value, summary=""
    )
    if errno is None:
        groups.tree.apply(step)
        assert value in groups.read("io.max")
    else:
        with pytest.raises(SyscallError) as caught:
            groups.tree.apply(step)
        assert caught.value.errno == errno


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


# ----------------------------------------------------------------------------- the whole, delegation, change, pause


@pytest.mark.usefixtures("cost_model")
def test_every_key_is_in_its_file(groups: Ground) -> None:
    groups.make(EVERYTHING, owner=str(OWNER))
    number = groups.read("io.max").split()[0]
    assert {file: groups.read(file) for file in expected(number)} == expected(number)
    assert groups.tree.stats(ZONE).groups == 1


def expected(number: str) -> dict[str, str]:
    return {
        "cpu.max": "150000 100000",
        "cpu.weight": "200",
        "cpuset.cpus": "0-1",
        "cpuset.mems": "0",
        "memory.max": str(512 * MIB),
        "memory.high": str(384 * MIB),
        "memory.low": str(8 * MIB),
        "memory.min": str(4 * MIB),
        "memory.swap.max": "0",
        "memory.oom.group": "1",
        "pids.max": "512",
        "io.weight": f"default 50\n{number} 20",
        "io.max": f"{number} rbps=50000000 wbps=max riops=max wiops=200",
        "hugetlb.2MB.max": str(4 * MIB),
        "hugetlb.2MB.rsvd.max": str(4 * MIB),
        "cgroup.max.depth": "16",
        "cgroup.max.descendants": "1000",
    }


@pytest.mark.usefixtures("cost_model")
def test_the_calls_of_the_plan_are_the_calls_that_are_made(groups: Ground, tmp_path: Path) -> None:
    made, _ = steps(EVERYTHING, groups.facts, group=ZONE, owner=str(OWNER))
    number = Path(f"/sys/block/{Path(DISK).name}/dev").read_text().strip()
    known = {
        f"<major:minor of {DISK}>": number,
        "<sum of the zones' memory.low>": str(8 * MIB),
        "<sum of the zones' memory.min>": str(4 * MIB),
    }

    def bound(text: str) -> str:
        for name, value in known.items():
            text = text.replace(name, value)
        return text

    wanted = [(name, target, bound(detail)) for name, target, detail in tracing.planned(made)]
    assert tracing.traced(made, groups, tmp_path / "trace") == wanted


def test_a_running_zone_gets_other_limits_and_its_old_ones_back(groups: Ground) -> None:
    old, new = ResourcesConfig(memory_bytes=64 * MIB), ResourcesConfig(pids=3, memory_high_bytes=32 * MIB)
    groups.make(old)
    with groups.running(sleep):
        for step in changes(old, new, groups.facts, group=ZONE)[0]:
            groups.tree.apply(step)
        found = [groups.read(file) for file in ("memory.max", "memory.high", "pids.max")]
        assert found == ["max", str(32 * MIB), "3"]
        for step in changes(new, old, groups.facts, group=ZONE)[0]:
            groups.tree.apply(step)
        found = [groups.read(file) for file in ("memory.max", "memory.high", "pids.max")]
        assert found == [str(64 * MIB), "max", "max"]


@pytest.mark.usefixtures("cost_model")
def test_all_limits_can_be_taken_back(groups: Ground) -> None:
    """What `default` of each setting says is what a group without limits has."""
    groups.make(EVERYTHING)
    for step in changes(EVERYTHING, ResourcesConfig(), groups.facts, group=ZONE)[0]:
        groups.tree.apply(step)
    groups.make(ResourcesConfig(), group=OTHER)
    number = Path(f"/sys/block/{Path(DISK).name}/dev").read_text().strip()
    files = [file for file in expected(number) if (groups.path(ZONE) / file).exists()]
    assert len(files) == len(expected(number))
    assert [(file, groups.read(file)) for file in files] == [
        (file, groups.read(file, OTHER)) for file in files
    ]


def test_a_systemd_inside_can_hand_controllers_on(groups: Ground) -> None:
    """What systemd does first: moves itself to a leaf, enables controllers, limits groups of its own."""
    groups.make(ResourcesConfig(memory_bytes=64 * MIB, pids=50, cpus=1), owner=str(OWNER))
    payload = groups.path(PAYLOAD)

    def systemd() -> int:
        os.setgroups([])
        os.setresgid(OWNER, OWNER, OWNER)
        os.setresuid(OWNER, OWNER, OWNER)
        (payload / "init.scope").mkdir()
        (payload / "init.scope" / "cgroup.procs").write_text("0")
        (payload / "cgroup.subtree_control").write_text("+cpu +memory +pids")
        (payload / "some.slice").mkdir()
        (payload / "some.slice" / "memory.max").write_text(str(MIB))
        (payload / "some.slice" / "pids.max").write_text("1")
        for limit in (payload / "memory.max", payload / "pids.max", groups.path(ZONE) / "memory.max"):
            try:
                limit.write_text("max")
            except PermissionError:
                continue
            return 2
        return 0

    assert groups.run(systemd) == 0
    assert groups.read("memory.max", f"{PAYLOAD}/some.slice") == str(MIB)
    groups.tree.remove(ZONE)
    assert not groups.tree.exists(ZONE)


def test_payload_is_an_inner_group_once_controllers_are_handed_on(groups: Ground) -> None:
    """Why exec enters the group that init is in now, and not payload."""
    groups.make(ResourcesConfig(memory_bytes=64 * MIB))
    assert groups.run(lambda: 0) == 0
    groups.tree.apply(EnableControllers(path=str(groups.path(PAYLOAD)), controllers=("memory",)))
    with pytest.raises(SyscallError, match="busy"):
        groups.run(lambda: 0)


def test_a_zone_of_the_hosts_ids_cannot_move_its_limits(groups: Ground, tmp_path: Path) -> None:
    """Its root is the host's: what keeps it is the cgroup namespace, below the group that the limits stand on."""
    groups.make(ResourcesConfig(memory_bytes=64 * MIB))

    def root() -> int:
        process.unshare(process.CLONE_NEWCGROUP | process.CLONE_NEWNS)
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        subprocess.run(["mount", "-t", "cgroup2", "none", str(tmp_path)], check=True)
        assert (tmp_path / "cgroup.procs").read_text()  # payload's: there is no way up
        with pytest.raises(PermissionError):  # nsdelegate
            (tmp_path / "memory.max").write_text(str(MIB))
        return 0

    assert groups.run(root) == 0
    assert groups.read("memory.max") == str(64 * MIB)


def test_a_paused_zone_uses_no_time(groups: Ground) -> None:
    groups.make(ResourcesConfig(cpus=0.5))
    with groups.running(spin(300)):
        assert eventually(lambda: usage(groups, ZONE) > 10_000)
        groups.tree.freeze(ZONE, timeout_s=30)
        assert groups.tree.is_frozen(ZONE)
        before = usage(groups, ZONE)
        time.sleep(1)
        assert usage(groups, ZONE) == before
        groups.tree.thaw(ZONE)
        assert eventually(lambda: usage(groups, ZONE) > before + 10_000)


@pytest.mark.usefixtures("cost_model")
def test_undo_leaves_nothing(groups: Ground) -> None:
    made, _ = steps(EVERYTHING, groups.facts, group=ZONE, owner=str(OWNER))
    for step in made:
        groups.tree.apply(step)
    with groups.running(sleep):
        for step in (*reversed(made), *reversed(made)):
            groups.tree.undo(step)
        assert not groups.tree.exists(ZONE)
    assert groups.tree.discard("zonectl-test")
