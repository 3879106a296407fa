"""What every other test of this folder takes for granted in the guest. Something missing is a failure."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zonectl.kernel.probe_process import OLDEST

if TYPE_CHECKING:
    from collections.abc import Iterator

CGROUP = Path("/sys/fs/cgroup")
SCRATCH = Path("/scratch")
CONTROLLERS = ("cpu", "cpuset", "hugetlb", "io", "memory", "pids")
NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts")
FULL_ACCESS = 0x1FFFFFFFFFF  # CAP_LAST_CAP is 40 since Linux 5.9


def run(*argv: str, stdin: str = "") -> str:
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv}: {done.stderr}"
    return done.stdout


@pytest.fixture
def group() -> Iterator[Path]:
    path = CGROUP / "lane-test"
    path.mkdir()
    yield path
    path.rmdir()


@pytest.fixture
def folder() -> Iterator[Path]:
    path = SCRATCH / "lane-test"
    path.mkdir()
    yield path
    shutil.rmtree(path)


def test_kernel_is_not_older_than_what_zonectl_needs() -> None:
    major, minor = os.uname().release.split(".")[:2]
    assert (int(major), int(minor)) >= OLDEST


def test_root_has_every_capability() -> None:
    status = Path("/proc/self/status").read_text()
    effective = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))
    assert int(effective, 16) == FULL_ACCESS


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_controller_is_delegated_from_the_root(controller: str, group: Path) -> None:
    assert controller in (CGROUP / "cgroup.subtree_control").read_text().split()
    assert controller in (group / "cgroup.controllers").read_text().split()
    assert list(group.glob(f"{controller}.*")), "the controller has no files"


def test_limits_are_taken_by_the_kernel(group: Path) -> None:
    limits = {"cpu.max": "50000 100000", "cpuset.cpus": "0-1", "memory.max": "67108864", "pids.max": "64"}
    for file, value in limits.items():
        (group / file).write_text(value)
        assert (group / file).read_text().strip() == value


def test_block_io_of_the_scratch_disk_can_be_limited(group: Path) -> None:
    device = os.stat(os.environ["ZONECTL_LANE_DISK"]).st_rdev
    number = f"{os.major(device)}:{os.minor(device)}"
    (group / "io.max").write_text(f"{number} rbps=1048576")
    assert (group / "io.max").read_text().split()[:2] == [number, "rbps=1048576"]


@pytest.mark.parametrize("file", ["cgroup.freeze", "cgroup.kill", "cgroup.pressure", "memory.pressure"])
def test_cgroup_core_file_is_there(file: str, group: Path) -> None:
    assert (group / file).exists()


def test_all_eight_namespaces_can_be_made() -> None:
    links = [f"/proc/self/ns/{name}" for name in NAMESPACES]
    options = ["--cgroup", "--ipc", "--mount", "--net", "--pid", "--time", "--user", "--uts"]
    inside = run("unshare", *options, "--map-root-user", "--fork", "--mount-proc", "readlink", *links).split()
    outside = [os.readlink(link) for link in links]
    assert len(inside) == len(NAMESPACES)
    assert not set(inside) & set(outside)


def test_links_of_the_kinds_that_zones_use_can_be_made() -> None:
    commands = [
        "link add name bridge0 type bridge",
        "link add name a0 type veth peer name b0",
        "link set a0 master bridge0",
    ]
    run("unshare", "--net", "ip", "-batch", "-", stdin="\n".join(commands))


def test_nft_translates_addresses() -> None:
    rules = """
        table inet lane_test {
            chain inward { type nat hook prerouting priority dstnat; tcp dport 80 dnat ip to 10.0.0.2:8080; }
            chain outward { type nat hook postrouting priority srcnat; ip saddr 10.0.0.0/24 masquerade; }
        }
    """
    run("unshare", "--net", "nft", "-f", "-", stdin=rules)


def test_overlay_on_the_scratch_disk_takes_writes(folder: Path) -> None:
    lower, upper, work, merged = (folder / name for name in ("lower", "upper", "work", "merged"))
    for path in (lower, upper, work, merged):
        path.mkdir()
    (lower / "file").write_text("lower")
    run(
        "mount",
        "-t",
        "overlay",
        "-o",
        f"lowerdir={lower},upperdir={upper},workdir={work}",
        "overlay",
        str(merged),
    )
    try:
        (merged / "file").write_text("upper")
    finally:
        run("umount", str(merged))
    assert [(lower / "file").read_text(), (upper / "file").read_text()] == ["lower", "upper"]


def test_scratch_is_an_ext4_disk_of_its_own() -> None:
    mounts = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    assert (os.environ["ZONECTL_LANE_DISK"], str(SCRATCH), "ext4") in {
        (line[0], line[1], line[2]) for line in mounts
    }


def test_there_is_no_way_out_but_loopback() -> None:
    assert os.listdir("/sys/class/net") == ["lo"]
    assert Path("/sys/class/net/lo/flags").read_text().strip() == "0x9"  # IFF_UP | IFF_LOOPBACK


def test_no_signal_is_ignored() -> None:
    assert run("grep", "SigIgn", "/proc/self/status").split() == ["SigIgn:", "0" * 16]


def test_two_processors_are_there() -> None:
    assert os.cpu_count() == 2


def test_tmp_is_new_and_everyones() -> None:
    assert os.stat("/tmp").st_mode & 0o7777 == 0o1777
    assert os.path.ismount("/tmp")
