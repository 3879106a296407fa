from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.cgroups.strategies import resources
from zonectl.cgroups import cpu, cpuset, hugetlb, io, limits, memory, pids
from zonectl.errors import HostLacks
from zonectl.model.config import IoLimit, ResourcesConfig

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zonectl.cgroups.setting import Setting


def written(settings: Iterable[Setting]) -> list[tuple[str, str]]:
    return [(setting.file, setting.value) for setting in settings]


@pytest.mark.parametrize(
    ("cpus", "period_us", "text"),
    [
        (1.5, 100_000, "150000 100000"),
        (0.01, 100_000, "1000 100000"),
        (2, 50_000, "100000 50000"),
        (1 / 3, 1_000_000, "333333 1000000"),
    ],
)
def test_cpu_quota(cpus: float, period_us: int, text: str) -> None:
    assert written(cpu.settings(ResourcesConfig(cpus=cpus, cpu_period_us=period_us))) == [("cpu.max", text)]


@pytest.mark.parametrize(("cpus", "period_us"), [(0.01, 50_000), (0.009, 100_000), (0.5, 1000)])
def test_a_quota_that_the_kernel_refuses_is_refused_before_with_a_period_that_would_do(
    cpus: float, period_us: int
) -> None:
    with pytest.raises(HostLacks, match="the kernel's least is 1000") as caught:
        cpu.settings(ResourcesConfig(cpus=cpus, cpu_period_us=period_us))
    assert caught.value.hint is not None
    longer_us = int(caught.value.hint.split('"')[1].removesuffix("ms")) * 1000
    assert cpu.quota_us(cpus, period_us=longer_us) >= cpu.MIN_QUOTA_US


def test_a_period_alone_limits_nothing() -> None:
    assert cpu.settings(ResourcesConfig(cpu_period_us=50_000)) == ()


def test_cpu_weight() -> None:
    assert written(cpu.settings(ResourcesConfig(cpu_weight=10_000))) == [("cpu.weight", "10000")]


def test_cpuset() -> None:
    found = cpuset.settings(ResourcesConfig(cpuset="0-3,6", cpuset_mems="0"))
    assert written(found) == [("cpuset.cpus", "0-3,6"), ("cpuset.mems", "0")]


def test_memory_writes_protections_then_ceilings() -> None:
    config = ResourcesConfig(
        memory_bytes=4096,
        memory_high_bytes=3000,
        memory_low_bytes=2000,
        memory_min_bytes=1000,
        swap_bytes=0,
        oom_group=True,
    )
    assert written(memory.settings(config)) == [
        ("memory.min", "1000"),
        ("memory.low", "2000"),
        ("memory.high", "3000"),
        ("memory.max", "4096"),
        ("memory.swap.max", "0"),
        ("memory.oom.group", "1"),
    ]


def test_sizes_are_summed_up_as_people_write_them() -> None:
    (setting,) = memory.settings(ResourcesConfig(memory_bytes=512 * 1024**2))
    assert setting.summary == "limit memory to 512MiB"


def test_pids() -> None:
    assert written(pids.settings(ResourcesConfig(pids=512))) == [("pids.max", "512")]


def test_io_names_the_rates_that_are_set() -> None:
    config = ResourcesConfig(
        io_weight=50,
        io=(
            IoLimit(device="/dev/vda", read_bps=1, write_bps=2, read_iops=3, write_iops=4),
            IoLimit(device="/dev/vdb", write_iops=9, weight=300),
            IoLimit(device="/dev/vdc", weight=7),
        ),
    )
    found = [(s.device, s.file, s.value) for s in io.settings(config)]
    assert found == [
        (None, "io.weight", "default 50"),
        ("/dev/vda", "io.max", "rbps=1 wbps=2 riops=3 wiops=4"),
        ("/dev/vdb", "io.max", "wiops=9"),
        ("/dev/vdb", "io.weight", "300"),
        ("/dev/vdc", "io.weight", "7"),
    ]


def test_hugetlb_limits_reservation_and_use() -> None:
    found = hugetlb.settings(ResourcesConfig(hugetlb=(("2MB", 4096), ("1GB", 0))))
    assert written(found) == [
        ("hugetlb.2MB.rsvd.max", "4096"),
        ("hugetlb.2MB.max", "4096"),
        ("hugetlb.1GB.rsvd.max", "0"),
        ("hugetlb.1GB.max", "0"),
    ]


def test_nothing_asked_nothing_written() -> None:
    assert limits.settings(ResourcesConfig()) == ()


@given(resources)
def test_no_file_is_written_twice_for_a_device(config: ResourcesConfig) -> None:
    found = [(setting.file, setting.device) for setting in limits.settings(config)]
    assert len(found) == len(set(found))


@given(resources)
def test_zero_is_a_limit_and_none_is_not(config: ResourcesConfig) -> None:
    files = {setting.file for setting in limits.settings(config)}
    assert ("memory.swap.max" in files) == (config.swap_bytes is not None)
    assert ("memory.max" in files) == (config.memory_bytes is not None)
    assert ("pids.max" in files) == (config.pids is not None)
    assert ("cpu.max" in files) == (config.cpus is not None)


def shown(numbers: frozenset[int]) -> str:
    """As bitmap_print_to_pagebuf does."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(f"{a}-{b}" if a != b else str(a) for a, b in runs) + "\n"


@given(st.frozensets(st.integers(0, 200)))
def test_lists_of_processors_are_read_as_the_kernel_prints_them(numbers: frozenset[int]) -> None:
    assert cpuset.members(shown(numbers)) == numbers


@pytest.mark.parametrize(
    ("asked", "effective", "expected"),
    [("0-3", "0-1", True), ("1", "1", True), ("7", "0-1", False), ("0", "0-1", False)],
)
def test_a_binding_holds_where_nothing_else_is_used(asked: str, effective: str, expected: bool) -> None:
    assert cpuset.holds(asked, effective=effective) is expected
