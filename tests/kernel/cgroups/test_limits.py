"""Limits on this host: written where version 2 has the controller, refused by name where it has not."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.kernel.cgroups import tracing
from tests.kernel.cgroups.groups import PAYLOAD, ZONE, Ground, apart, end, mounted, sleep
from zonectl.cgroups import block
from zonectl.cgroups.steps import steps
from zonectl.cgroups.steps.kinds import WriteDeviceLimit, WriteLimit
from zonectl.errors import HostLacks, SyscallError
from zonectl.kernel import process
from zonectl.model.config import IoLimit, ResourcesConfig

pytestmark = pytest.mark.requires("root", "cgroup2")

PAGE = 2 * 1024**2


@pytest.mark.requires("controller:hugetlb")
def test_huge_pages_are_limited(huge_groups: Ground) -> None:
    huge_groups.make(ResourcesConfig(hugetlb=(("2MB", PAGE),)))
    assert huge_groups.read("hugetlb.2MB.max") == str(PAGE)
    assert huge_groups.read("hugetlb.2MB.rsvd.max") == str(PAGE)
    found = huge_groups.tree.stats(ZONE).hugetlb
    assert found is not None
    assert {"2MB"} <= {pages.page_size for pages in found}


@pytest.mark.requires("controller:hugetlb")
def test_controllers_reach_payload_whose_own_groups_have_none(huge_groups: Ground) -> None:
    huge_groups.make(ResourcesConfig(hugetlb=(("2MB", PAGE),)))
    assert huge_groups.read("cgroup.controllers", PAYLOAD) == "hugetlb"
    assert huge_groups.read("cgroup.subtree_control", PAYLOAD) == ""
    assert huge_groups.run(lambda: 0) == 0


@pytest.mark.requires("controller:hugetlb")
def test_a_page_size_that_is_not_there_names_those_that_are(huge_groups: Ground) -> None:
    with pytest.raises(HostLacks, match=r"this kernel has no hugetlb\.3MB\.rsvd\.max") as caught:
        huge_groups.make(ResourcesConfig(hugetlb=(("3MB", PAGE),)))
    assert "2MB" in (caught.value.hint or "")


@pytest.mark.requires("controller:hugetlb")
def test_a_base_with_processes_in_it_says_so(huge_groups: Ground) -> None:
    base = huge_groups.path("x").parent
    fd = os.open(base, os.O_PATH | os.O_DIRECTORY)
    pid, pidfd = process.clone(0, cgroup_fd=fd)
    if pid == 0:
        end(sleep)
    try:
        with pytest.raises(HostLacks, match=f"processes live in {base} itself"):
            huge_groups.make(ResourcesConfig(hugetlb=(("2MB", PAGE),)))
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(pidfd)
        os.close(fd)


@pytest.mark.requires("controller:hugetlb")
def test_a_refused_value_is_told_with_file_and_text(huge_groups: Ground) -> None:
    huge_groups.make(ResourcesConfig(hugetlb=(("2MB", PAGE),)))
    step = WriteLimit(path=str(huge_groups.path()), file="hugetlb.2MB.max", value="much", summary="")
    with pytest.raises(SyscallError, match=r"hugetlb\.2MB\.max \(much\): Invalid argument"):
        huge_groups.tree.apply(step)


@pytest.mark.skipif(not mounted().v1, reason="no controller is bound to version 1 here")
def test_memory_of_a_hybrid_host_is_refused_with_its_mount(groups: Ground) -> None:
    mount = dict(groups.facts.v1)["memory"]
    with pytest.raises(HostLacks, match=f"memory: bound to cgroup v1 at {mount}$") as caught:
        groups.make(ResourcesConfig(memory_bytes=2**30))
    assert "resources.required = false" in (caught.value.hint or "")
    assert not groups.tree.exists("zonectl-test")


@pytest.mark.skipif(not mounted().v1, reason="no controller is bound to version 1 here")
def test_limits_that_are_not_required_are_left_out_with_a_warning(groups: Ground) -> None:
    config = ResourcesConfig(required=False, memory_bytes=2**30, cpus=1)
    made, warnings = steps(config, groups.facts, group=ZONE)
    for step in made:
        groups.tree.apply(step)
    assert [warning.split(" (")[0] for warning in warnings] == [
        "not enforced: resources.cpus",
        "not enforced: resources.memory",
    ]
    assert groups.tree.stats(ZONE).memory is None


def test_processor_time_is_counted_without_a_controller(groups: Ground) -> None:
    groups.make()

    def spin() -> int:
        return sum(range(2_000_000)) and 0

    assert groups.run(spin) == 0
    found = groups.tree.stats(ZONE).cpu
    assert found is not None
    assert found.usage_us > 1000
    assert found.nr_periods is None


@pytest.mark.requires("pressure")
def test_pressure_is_told_without_a_controller(groups: Ground) -> None:
    groups.make()
    found = groups.tree.pressure(ZONE)
    assert found.cpu is not None
    assert found.cpu.some is not None
    assert found.memory is not None
    assert found.memory.full is not None
    assert found.memory.full.total_us == 0


def disks() -> list[Path]:
    return sorted(path for path in Path("/sys/block").iterdir() if Path("/dev", path.name).is_block_device())


@pytest.mark.requires("block_device")
def test_a_disk_has_the_number_that_sysfs_says(tmp_path: Path) -> None:
    disk = disks()[0]
    assert block.number(f"/dev/{disk.name}") == (disk / "dev").read_text().strip()
    link = tmp_path / "link"
    link.symlink_to(f"/dev/{disk.name}")
    assert block.number(str(link)) == (disk / "dev").read_text().strip()


@pytest.mark.parametrize("path", ["/", "/dev/null", "/etc/passwd"])
def test_what_is_no_block_device_is_told(path: str) -> None:
    with pytest.raises(HostLacks, match=f"^{path} is not a block device$"):
        block.number(path)


@pytest.mark.requires("loop", "program:mkfs.ext4")
def test_a_path_on_a_disk_is_answered_with_the_disk(tmp_path: Path) -> None:
    image, mount = tmp_path / "image", tmp_path / "mount"
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(8 * 1024**2)

    def ask() -> int:
        process.unshare(process.CLONE_NEWNS)
        for command in ("mount --make-rprivate /", f"mkfs.ext4 -q {image}", f"mount -o loop {image} {mount}"):
            subprocess.run(command.split(), check=True)
        disk = os.readlink(f"/sys/dev/block/{_numbers(os.stat(mount).st_dev)}").rpartition("/")[2]
        with pytest.raises(HostLacks) as caught:
            block.number(str(mount))
        assert caught.value.hint == f"name the disk that it is stored on: /dev/{disk}"
        assert block.number(f"/dev/{disk}") == _numbers(os.stat(mount).st_dev)
        return 0

    assert apart(ask) == 0


def _numbers(device: int) -> str:
    return f"{os.major(device)}:{os.minor(device)}"


def test_a_device_that_is_not_there_is_told(groups: Ground) -> None:
    config = ResourcesConfig(io=(IoLimit(device="/dev/none", read_bps=1),))
    (limit,) = [
        WriteDeviceLimit(path=str(groups.path("x")), file="io.max", device=io.device, value="", summary="")
        for io in config.io
    ]
    with pytest.raises(HostLacks, match="/dev/none: No such file"):
        groups.tree.apply(limit)


@pytest.mark.requires("controller:hugetlb", "program:strace")
def test_the_calls_of_the_plan_are_the_calls_that_are_made(huge_groups: Ground, tmp_path: Path) -> None:
    config = ResourcesConfig(hugetlb=(("2MB", PAGE),))
    made, _ = steps(config, huge_groups.facts, group=ZONE, owner="100000")
    assert tracing.traced(made, huge_groups, tmp_path / "trace") == tracing.planned(made)


def test_a_zone_sees_no_group_above_payload(groups: Ground) -> None:
    """The cgroup namespace that a zone is born with begins in payload."""
    groups.make()

    def look() -> int:
        process.unshare(process.CLONE_NEWCGROUP)
        return 0 if "0::/\n" in Path("/proc/self/cgroup").read_text() else 1

    assert groups.run(look) == 0
    assert groups.run(lambda: 0 if "/payload\n" in Path("/proc/self/cgroup").read_text() else 1) == 0
