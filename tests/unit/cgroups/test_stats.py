from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonectl.cgroups import files, pressure, protection, stats
from zonectl.cgroups.stats import IoStats
from zonectl.errors import SyscallError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Fill: TypeAlias = "Callable[..., str]"

MEMORY_STAT = "anon 10\nfile 20\nkernel 30\nshmem 4\nsock 5\nslab 6\npgfault 7\npgmajfault 8\nnuma x y\n"


@pytest.fixture
def group(tmp_path: Path) -> Fill:
    """Files as kernels write them: parsing them needs no kernel."""

    def fill(**texts: str) -> str:
        for name, text in texts.items():
            (tmp_path / name.replace("__", ".")).write_text(text)
        return str(tmp_path)

    return fill


def test_a_group_that_is_gone_has_used_nothing(tmp_path: Path) -> None:
    found = stats.read(str(tmp_path / "gone"))
    assert not found.populated
    assert (found.cpu, found.memory, found.io, found.pids, found.hugetlb) == (None,) * 5


def test_cpu_without_its_controller_has_no_periods(group: Fill) -> None:
    found = stats.read(group(cpu__stat="usage_usec 3\nuser_usec 2\nsystem_usec 1\n")).cpu
    assert found is not None
    assert (found.usage_us, found.user_us, found.system_us, found.nr_periods) == (3, 2, 1, None)


def test_cpu_with_its_controller(group: Fill) -> None:
    text = "usage_usec 3\nuser_usec 2\nsystem_usec 1\nnr_periods 9\nnr_throttled 4\nthrottled_usec 77\n"
    found = stats.read(group(cpu__stat=text)).cpu
    assert found is not None
    assert (found.nr_periods, found.nr_throttled, found.throttled_us) == (9, 4, 77)


def test_memory(group: Fill) -> None:
    directory = group(
        memory__current="100\n",
        memory__max="max\n",
        memory__swap__current="0\n",
        memory__stat=MEMORY_STAT,
        memory__events="low 1\nhigh 2\nmax 3\noom 4\noom_kill 5\noom_group_kill 6\n",
    )
    found = stats.read(directory).memory
    assert found is not None
    assert (found.current_bytes, found.max_bytes, found.peak_bytes, found.swap_bytes) == (100, None, None, 0)
    assert (found.anon_bytes, found.file_bytes, found.kernel_bytes, found.major_faults) == (10, 20, 30, 8)
    assert (found.events.oom_kill, found.events.oom_group_kill) == (5, 6)


def test_io_of_each_device() -> None:
    text = "254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6 cost.usage=12\n7:1 \n"
    zero = IoStats(device="7:1", read_bytes=0, write_bytes=0, discard_bytes=0, reads=0, writes=0, discards=0)
    one = IoStats(device="254:0", read_bytes=1, write_bytes=2, discard_bytes=5, reads=3, writes=4, discards=6)
    assert stats.parse_io(text) == (one, zero)


def test_pids(group: Fill) -> None:
    found = stats.read(group(pids__current="3\n", pids__max="10\n", pids__events="max 2\n")).pids
    assert found is not None
    assert (found.current, found.max, found.peak, found.refused) == (3, 10, None, 2)


def test_huge_pages_by_size(group: Fill) -> None:
    directory = group(
        hugetlb__2MB__current="4194304\n", hugetlb__1GB__current="0\n", hugetlb__2MB__max="max\n"
    )
    found = stats.read(directory).hugetlb
    assert found is not None
    assert [(page.page_size, page.current_bytes) for page in found] == [("1GB", 0), ("2MB", 4194304)]


def test_pressure_with_and_without_full() -> None:
    text = "some avg10=1.50 avg60=0.25 avg300=0.00 total=12345\n"
    found = pressure.parse(text)
    assert found.full is None
    assert found.some == pressure.Stall(avg10=1.5, avg60=0.25, avg300=0.0, total_us=12345)
    assert pressure.parse(text + text.replace("some", "full")).full == found.some


@given(st.text())
def test_a_flat_file_is_read_whatever_it_says(text: str) -> None:
    assert all(isinstance(value, int) for value in files.table(text).values())


@pytest.mark.parametrize(("text", "number"), [("12\n", 12), ("max\n", None), ("", None), (None, None)])
def test_single_values(text: str, number: int | None) -> None:
    assert files.number(text) == number


def test_a_file_that_cannot_be_read_for_another_reason_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SyscallError, match="read"):
        files.read(str(tmp_path))


@pytest.mark.parametrize(
    ("texts", "total"),
    [([], "0"), (["4096\n", "0\n"], "4096"), (["1\n", None, "2\n"], "3"), (["5\n", "max\n"], "max")],
)
def test_the_sum_of_protections(texts: list[str | None], total: str) -> None:
    assert protection.total(texts) == total
