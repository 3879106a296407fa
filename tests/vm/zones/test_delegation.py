"""zonectl where all it has of the control groups is a subtree that was delegated to it (cgroups(7), Delegation)."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.vm.zones.test_limits import TOP

if TYPE_CHECKING:
    from collections.abc import Iterator

SUBTREE = Path("/sys/fs/cgroup/delegated")
ZONE = """
name = "inner"
command = ["/bin/sh", "-c", "trap 'exit 0' TERM; while true; do sleep 1 & wait $!; done"]
[root]
image = "busybox:latest"
[network]
mode = "none"
[resources]
pids = 20
"""
# In a cgroup namespace the subtree is the root of what is seen, and of what a fresh mount shows.
ENTER = 'echo $$ >"$0/cgroup.procs"; exec unshare --cgroup --mount sh -ec "$1"'
SEEN = "umount /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup\n"
LEAF = "mkdir /sys/fs/cgroup/own; echo $$ >/sys/fs/cgroup/own/cgroup.procs\n"
USE = """
zonectl image build busybox
zonectl create $ZONE_FILE
zonectl start inner
cat /sys/fs/cgroup/zonectl-*/*/pids.max | head -n 1
zonectl exec inner -- cat /proc/self/cgroup
zonectl delete -f inner
"""


@pytest.fixture
def subtree() -> Iterator[Path]:
    SUBTREE.mkdir()
    yield SUBTREE
    for group in sorted(SUBTREE.rglob("*/"), reverse=True):
        group.rmdir()
    SUBTREE.rmdir()


def within(script: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    file = tmp_path / "inner.toml"
    file.write_text(ZONE)
    state = Path("/scratch/delegated")
    state.mkdir(mode=0o700, exist_ok=True)
    # zoned would outlive the namespaces' mounts: it is told to leave.
    stopped = f"{SEEN}{script}\ntrap 'zonectl zoned stop' EXIT\n{USE}"
    return subprocess.run(
        ["sh", "-c", ENTER, SUBTREE, stopped],
        env={
            "PATH": f"{TOP}/.venv/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "ZONECTL_ROOT": str(state),
            "ZONECTL_RUN": str(tmp_path / "run"),
            "ZONE_FILE": str(file),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_zones_have_limits_below_a_delegated_subtree(subtree: Path, tmp_path: Path) -> None:
    done = within(LEAF, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == ["20", "0::/"]
    assert "pids" in (subtree / "cgroup.subtree_control").read_text()


def test_a_subtree_with_processes_of_its_own_is_refused_with_the_remedy(
    subtree: Path, tmp_path: Path
) -> None:
    del subtree
    done = within("", tmp_path)
    assert done.returncode == 1
    assert "no internal processes" in done.stderr
