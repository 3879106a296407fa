"""All limits at once; changing, delegating, pausing, undoing."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.kernel.cgroups import tracing
from tests.kernel.cgroups.groups import PAYLOAD, ZONE, Ground, sleep
from tests.patience import eventually
from tests.vm.cgroups.zone import DISK, EVERYTHING, MIB, OTHER, OWNER, spin, usage
from zonectl.cgroups.steps import changes, steps
from zonectl.cgroups.steps.kinds import EnableControllers
from zonectl.errors import SyscallError
from zonectl.kernel import process
from zonectl.model.config import ResourcesConfig


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
