"""show --security where every limit can be set, and raised: each that somebody alters is told, and no other."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.vm.zones.test_limits import CGROUPS, LOOP, Instance

if TYPE_CHECKING:
    from collections.abc import Iterator

STATE = Path("/scratch/audit-test")
COMMAND = Instance(STATE, Path("/run/audit-test"))
RESOURCES = """
cpus = 0.5
cpu_weight = 50
cpuset = "0,1"
memory = 70000001
memory_high = "48MiB"
memory_low = "8MiB"
swap = "0"
oom_group = true
pids = 64
"""
ALTERED = {
    "cpu.max": "max 100000",
    "cpu.weight": "100",
    "cpuset.cpus": "0",
    "memory.max": "max",
    "memory.high": str(64 << 20),
    "memory.low": "0",
    "memory.swap.max": "max",
    "memory.oom.group": "0",
    "pids.max": "65",
}


@dataclass(frozen=True, slots=True)
class Zone:
    """A running zone, and the command without zoned, which takes long to come up in an emulated machine."""

    name: str
    pid: int
    group: Path

    def audit(self) -> tuple[int, list[str]]:
        """The exit status, and the lines that differ."""
        done = COMMAND("--no-daemon", "show", "--security", "--json", self.name, check=False)
        assert done.stdout, done.stderr
        differing = [
            each["name"]
            for each in json.loads(done.stdout)["findings"]
            if each["verdict"] in {"differs", "unread"}
        ]
        return done.returncode, differing


@pytest.fixture(scope="module")
def zone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zone]:
    STATE.mkdir(mode=0o700)
    COMMAND("--no-daemon", "image", "build", "busybox")
    words = ["findmnt", "--noheadings", "--output", "SOURCE", "/scratch"]
    disk = subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
    file = tmp_path_factory.mktemp("audit") / "limited.toml"
    file.write_text(
        f'name = "limited"\ncommand = {json.dumps(LOOP)}\n[root]\nimage = "busybox"\n[network]\nmode = "none"\n'
        f'[limits]\nnofile = "256:512"\n[resources]\n{RESOURCES}[[resources.io]]\ndevice = "{disk}"\n'
        'read_bps = "50MB"\nwrite_iops = 1000\n'
    )
    run = COMMAND.begin("--no-daemon", "run", str(file))
    try:
        yield _found(run)
    finally:
        run.terminate()
        run.wait(timeout=60)


def _found(run: subprocess.Popen[bytes]) -> Zone:
    deadline = time.monotonic() + 120
    while not (listed := json.loads(COMMAND("--no-daemon", "list", "-o", "json").stdout)):
        assert run.poll() is None
        assert time.monotonic() < deadline
    (zone,) = listed
    (group,) = CGROUPS.glob(f"zonectl-*/{zone['id']}")
    return Zone(zone["name"], zone["pid"], group)


def test_every_limit_is_as_declared(zone: Zone) -> None:
    assert zone.audit() == (0, [])


@pytest.mark.parametrize("file", [*ALTERED, "io.max"])
def test_a_limit_that_was_altered(zone: Zone, file: str) -> None:
    before = (zone.group / file).read_text()
    (zone.group / file).write_text(before.split()[0] + " rbps=max" if file == "io.max" else ALTERED[file])
    try:
        status, (line,) = zone.audit()
        assert (status, line.split()[0]) == (1, file)
    finally:
        (zone.group / file).write_text(before)


def test_a_limit_of_init_that_was_raised(zone: Zone) -> None:
    before = resource.prlimit(zone.pid, resource.RLIMIT_NOFILE, (512, 1024))
    assert before == (256, 512)
    assert zone.audit() == (1, ["limits.nofile"])
    resource.prlimit(zone.pid, resource.RLIMIT_NOFILE, before)
    os.setpriority(os.PRIO_PROCESS, zone.pid, -1)
    assert zone.audit() == (1, ["nice"])
    os.setpriority(os.PRIO_PROCESS, zone.pid, 0)
    assert zone.audit() == (0, [])
