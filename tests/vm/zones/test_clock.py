"""Time-outs are kept by a clock that nobody can set."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.vm.zones.test_limits import Instance, wait_until
from zonectl.kernel import proc

if TYPE_CHECKING:
    from collections.abc import Iterator

HOUR_S = 3600.0
# It catches the signal: one that ignores it would not be waited for.
STUBBORN = "trap : TERM; while true; do sleep 1; done"


@pytest.fixture(scope="module")
def zonectl() -> Iterator[Instance]:
    state, run = Path("/scratch/clock-test"), Path("/run/clock-test")
    state.mkdir(mode=0o700)
    command = Instance(state, run)
    command("image", "build", "busybox")
    yield command
    command("delete", "-f", "--all", check=False)
    command("zoned", "stop", check=False)


@contextmanager
def clock_set_by(seconds: float) -> Iterator[None]:
    """The machine's wall clock, set by so much and back."""
    time.clock_settime(time.CLOCK_REALTIME, time.time() + seconds)
    try:
        yield
    finally:
        time.clock_settime(time.CLOCK_REALTIME, time.time() - seconds)


@pytest.mark.fault(
    "the clock is set back an hour while a stop waits for an init that goes on",
    "the zone is killed after its time-out",
)
def test_a_stop_heeds_no_wall_clock(zonectl: Instance, tmp_path: Path) -> None:
    file = tmp_path / "stubborn.toml"
    file.write_text(
        f'name = "stubborn"\ncommand = ["/bin/sh", "-c", "{STUBBORN}"]\nstop_timeout = "6s"\n'
        '[root]\nimage = "busybox:latest"\n[network]\nmode = "none"\n'
    )
    zonectl("create", str(file))
    zonectl("start", "stubborn")
    wait_until(lambda: "sleep 1" in zonectl("exec", "stubborn", "--", "ps").stdout)
    stopping = zonectl.begin("stop", "stubborn")
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            stopping.wait(2)
        with clock_set_by(-HOUR_S):
            assert stopping.wait(200) == 0
    finally:
        stopping.kill()
        stopping.wait()
    assert "SIGKILL" in zonectl("show", "stubborn").stdout


@pytest.mark.fault(
    "the clock is set back an hour while a restart is pending and zoned is killed",
    "the next zoned starts the zone when its pause is over, not an hour later",
)
def test_a_restart_heeds_no_wall_clock(zonectl: Instance, tmp_path: Path) -> None:
    file = tmp_path / "again.toml"
    file.write_text(
        'name = "again"\ncommand = ["/bin/sh", "-c", "echo x >>/starts; exit 1"]\nrestart = "always"\n'
        '[root]\nimage = "busybox:latest"\n[network]\nmode = "none"\n'
    )
    zonectl("create", str(file))
    zonectl("start", "again")
    starts = Path("/scratch/clock-test/zones/again/upper/starts")
    note = Path("/run/clock-test/zones/again/watch.json")

    def count() -> int:
        return len(starts.read_text(encoding="ascii").split())

    # By now the pause is of some seconds, in which zoned is killed.
    wait_until(lambda: starts.exists() and count() >= 6)
    wait_until(lambda: json.loads(note.read_text(encoding="utf-8"))["due_s"] is not None)
    zoned = int(Path("/run/clock-test/zoned.lock").read_text(encoding="ascii").split()[0])
    os.kill(zoned, signal.SIGKILL)
    # A worker of its own may serve whoever comes before the kernel has begun with that.
    wait_until(lambda: not proc.has_memory(zoned))
    before = count()
    with clock_set_by(-HOUR_S):
        zonectl("exec", "again", "--", "true", check=False)
        wait_until(lambda: count() > before, seconds=240)
    zonectl("delete", "-f", "again")
