"""What a zone file's limits do to a zone, on a kernel whose controllers are all of version 2."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOP = Path(__file__).parents[3]
CGROUPS = Path("/sys/fs/cgroup")
LOOP = ["/bin/sh", "-c", "trap 'exit 0' TERM; while true; do sleep 1 & wait $!; done"]


class Instance:
    """zonectl on the scratch disk, with state of the test's own."""

    def __init__(self, state: Path, run: Path) -> None:
        self._environment = {**os.environ, "ZONECTL_ROOT": str(state), "ZONECTL_RUN": str(run)}
        self._command = TOP / ".venv" / "bin" / "zonectl"

    def __call__(self, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [self._command, *argv],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    def begin(self, *argv: str) -> subprocess.Popen[bytes]:
        """Begin to run the command."""
        return subprocess.Popen([self._command, *argv], env=self._environment, stdin=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def zonectl() -> Iterator[Instance]:
    state, run = Path("/scratch/zones-test"), Path("/run/zones-test")
    state.mkdir(mode=0o700)
    command = Instance(state, run)
    command("image", "build", "busybox")
    yield command
    command("delete", "-f", "--all", check=False)
    command("zoned", "stop", check=False)
    assert not list(CGROUPS.glob("zonectl-*/*/payload")), "a zone's group is left"


@pytest.fixture
def zone(zonectl: Instance, tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Create and start a zone with these lines of [resources]; the folder of its group."""
    names: list[str] = []

    def start(name: str, resources: str, command: list[str] = LOOP) -> Path:
        file = tmp_path / f"{name}.toml"
        network = '[network]\nmode = "none"\n'
        file.write_text(
            f"name = {json.dumps(name)}\ncommand = {json.dumps(command)}\n"
            f'[root]\nimage = "busybox:latest"\n{network}[resources]\n{resources}\n'
        )
        zonectl("create", str(file))
        names.append(name)
        zonectl("start", name)
        identity = json.loads(zonectl("list", "-c", "-o", "json", name).stdout)[0]["id"]
        (group,) = CGROUPS.glob(f"zonectl-*/{identity}")
        return group

    yield start
    for name in names:
        zonectl("delete", "-f", name)


def values(group: Path, file: str) -> dict[str, int]:
    lines = (line.split() for line in (group / file).read_text().splitlines())
    return {key: int(number) for key, number in lines}


def value(group: Path, file: str, key: str) -> int:
    return values(group, file)[key]


def wait_until(holds: Callable[[], bool], *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold"
        time.sleep(0.2)


def test_limited_example_holds_every_limit(zonectl: Instance) -> None:
    zonectl("create", str(TOP / "configs" / "limited.toml"))
    try:
        zonectl("start", "limited")
        identity = json.loads(zonectl("list", "-o", "json", "limited").stdout)[0]["id"]
        (group,) = CGROUPS.glob(f"zonectl-*/{identity}")
        found = {
            file: (group / file).read_text().strip()
            for file in ("cpu.max", "cpu.weight", "memory.max", "memory.high", "memory.swap.max", "pids.max")
        }
        assert found == {
            "cpu.max": "50000 100000",
            "cpu.weight": "50",
            "memory.max": str(64 << 20),
            "memory.high": str(48 << 20),
            "memory.swap.max": "0",
            "pids.max": "64",
        }
        assert (group / "memory.oom.group").read_text() == "1\n"
    finally:
        zonectl("delete", "-f", "limited")


@pytest.mark.fault(
    "a zone takes more memory than it may (`oom_group`)",
    "it is killed for memory, `list` and `show` say so with the limit and the peak; its neighbour runs on",
)
def test_a_zone_that_takes_too_much_memory_is_killed_and_list_says_so(
    zonectl: Instance, zone: Callable[..., Path]
) -> None:
    hog = ["/bin/sh", "-c", "sleep 1; tail /dev/zero"]
    zone("hog", 'memory = "16MiB"\nswap = "0"\noom_group = true', hog)
    neighbour = zone("neighbour", 'memory = "64MiB"')
    status = zonectl("wait", "hog", check=False).returncode
    assert status == 137
    (shown,) = json.loads(zonectl("list", "-cv", "-o", "json", "hog").stdout)
    assert shown["oom_kills"] >= 1
    assert shown["oom_limit_bytes"] == 16 << 20
    assert 8 << 20 < shown["oom_peak_bytes"] <= 16 << 20
    assert " killed for memory (limit 16.0MiB, peak " in zonectl("show", "hog").stdout
    assert value(neighbour, "memory.events", "oom_kill") == 0
    assert zonectl("exec", "neighbour", "--", "/bin/true").returncode == 0


@pytest.mark.fault("a fork bomb in a zone with a limit of processes", "forks fail at the limit")
def test_a_fork_bomb_ends_at_the_limit_of_processes(zonectl: Instance, zone: Callable[..., Path]) -> None:
    group = zone("bomb", "pids = 12")
    script = "i=0; while [ $i -lt 40 ]; do sleep 30 & i=$((i + 1)); done; wait"
    done = zonectl("exec", "bomb", "--", "/bin/sh", "-c", script, check=False)
    assert done.returncode != 0
    # Before pids.events.local (Linux 6.11) it is counted where it was tried.
    assert max(value(each, "pids.events", "max") for each in (group, group / "payload")) >= 1
    assert int((group / "pids.peak").read_text()) <= 12


def test_a_busy_zone_gets_its_share_of_a_processor(zonectl: Instance, zone: Callable[..., Path]) -> None:
    del zonectl
    group = zone("busy", "cpus = 0.2", ["/bin/sh", "-c", "while true; do :; done"])
    before = values(group, "cpu.stat")
    wait_until(lambda: value(group, "cpu.stat", "nr_periods") >= before["nr_periods"] + 40)
    after = values(group, "cpu.stat")
    periods = after["nr_periods"] - before["nr_periods"]
    used_us = after["usage_usec"] - before["usage_usec"]
    assert used_us <= 1.05 * periods * 20_000


def test_a_zone_sees_only_its_processors(zonectl: Instance, zone: Callable[..., Path]) -> None:
    zone("pinned", 'cpuset = "1"')
    done = zonectl("exec", "pinned", "--", "/bin/grep", "Cpus_allowed_list", "/proc/self/status")
    assert done.stdout.split() == ["Cpus_allowed_list:", "1"]


def test_a_paused_zone_does_nothing_until_it_is_resumed(zonectl: Instance, zone: Callable[..., Path]) -> None:
    group = zone("still", "pids = 8", ["/bin/sh", "-c", "while true; do :; done"])
    zonectl("pause", "still")
    frozen = value(group, "cpu.stat", "usage_usec")
    time.sleep(1)
    assert value(group, "cpu.stat", "usage_usec") == frozen
    zonectl("resume", "still")
    wait_until(lambda: value(group, "cpu.stat", "usage_usec") > frozen)


@pytest.mark.fault(
    "stop of a zone frozen by the control group, on pure cgroup v2", "it ends and is `installed`"
)
def test_a_zone_stopped_while_paused_ends(zonectl: Instance, zone: Callable[..., Path]) -> None:
    zone("held", "pids = 8")
    zonectl("pause", "held")
    zonectl("stop", "held")
    (shown,) = json.loads(zonectl("list", "-c", "-o", "json", "held").stdout)
    assert shown["state"] == "installed"
