"""Watching a zone's system calls, for real; what becomes of the zone when its watcher does not do its work."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.kernel.runtime.world import REQUIRED
from zonectl.errors import ProgramError, ZonectlError
from zonectl.kernel import process
from zonectl.runtime.learning.recording import Recorder
from zonectl.runtime.learning.trial import attempt
from zonectl.security.seccomp import architectures, observed
from zonectl.security.seccomp.observed import Permission

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kernel.runtime.world import World
    from zonectl.runtime.launch import Launched
    from zonectl.runtime.learning.trial import Outcome

pytestmark = pytest.mark.requires(*REQUIRED, "seccomp:user_notif")

NATIVE = architectures.native()
UNMADE = {"setgroups", "setresuid", "capset", "umask", "sethostname", "seccomp", "close_range", "sendmsg"}
"""What zonectl calls for a zone before it is the program, and a shell never does."""


def watched(
    world: World, *command: str, extra: str = "", stdin: int | None = None
) -> tuple[Outcome, dict[Permission, int]]:
    config = world.parse(world.text(*command, extra=extra))
    with Recorder(observed.telling(NATIVE)) as recorder:
        outcome = attempt(world.context, config, stdin=stdin, timeout_s=60, recorder=recorder)
        seen = recorder.seen()
    assert observed.foreign(seen, NATIVE) == ()
    return outcome, {Permission(NATIVE.names[call.number], call.value): call.times for call in seen}


@pytest.mark.parametrize("seccomp", ["default", "off"])
def test_every_call_of_every_process_is_counted(world: World, seccomp: str) -> None:
    script = "i=0; while [ $i -lt 200 ]; do umask 27; i=$((i+1)); done; for i in 1 2 3; do (mkdir /tmp/$i) & done; wait"
    outcome, calls = watched(world, "/bin/sh", "-c", script, extra=f'[security]\nseccomp = "{seccomp}"\n')
    assert outcome.status.code == 0
    # The shell asks for the mask, which means setting it twice, and then sets it.
    assert calls[Permission("umask")] >= 200
    assert calls[Permission("umask")] % 200 == 0
    assert calls[Permission("mkdir")] == 3
    assert calls[Permission("clone", 0)] + calls.get(Permission("vfork"), 0) >= 3


def test_what_zonectl_itself_calls_is_not_the_programs(world: World) -> None:
    outcome, calls = watched(world, "/bin/true")
    assert outcome.status.code == 0
    assert {call.name for call in calls}.isdisjoint(UNMADE | {"execve"})
    assert calls[Permission("exit_group")] == 1


def test_with_an_init_its_calls_count_too(world: World) -> None:
    outcome, calls = watched(world, "/bin/true", extra="init = true\n")
    assert outcome.status.code == 0
    assert calls[Permission("execve")] >= 1
    assert Permission("signalfd4") in calls


def test_a_telling_argument_is_noted(world: World) -> None:
    _, calls = watched(world, "/bin/sh", "-c", "ip link >/dev/null; test -t 1")
    assert Permission("socket", 16) in calls  # AF_NETLINK
    assert Permission("ioctl", 0x5401) in calls  # TCGETS


def test_what_the_zones_own_filter_refuses_is_not_learned(world: World) -> None:
    _, calls = watched(world, "/bin/unshare", "-m", "/bin/true")
    assert Permission("unshare", 0x20000) not in calls
    _, calls = watched(world, "/bin/unshare", "-m", "/bin/true", extra='[security]\nseccomp = "off"\n')
    assert Permission("unshare", 0x20000) in calls


def test_input_is_given_to_each_run_from_its_beginning(world: World, tmp_path: Path) -> None:
    (tmp_path / "input").write_bytes(b"x" * 100_000)
    with (tmp_path / "input").open("rb") as file:
        first, _ = watched(world, "/bin/wc", "-c", stdin=file.fileno())
        second, _ = watched(world, "/bin/wc", "-c", stdin=file.fileno())
        other, _ = watched(world, "/bin/wc", "-c")
    assert first.output == second.output != other.output


def test_a_program_that_is_not_there(world: World) -> None:
    with pytest.raises(ProgramError):
        watched(world, "/no/such/program")


def test_a_run_that_takes_too_long_is_ended(world: World) -> None:
    config = world.parse(world.text("/bin/sleep", "300"))
    with Recorder(observed.telling(NATIVE)) as recorder:
        outcome = attempt(world.context, config, stdin=None, timeout_s=0.5, recorder=recorder)
        assert outcome.late
        assert outcome.status == process.ExitStatus(signal=signal.SIGKILL)
        assert any(NATIVE.names[call.number].startswith("clock_nanosleep") for call in recorder.seen())


def test_a_watcher_that_is_killed_takes_the_zone_with_it(world: World) -> None:
    config = world.parse(world.text("/bin/sh", "-c", "while :; do umask 22; done"))

    class Killed(Recorder):
        def execute(self, launched: Launched) -> None:
            super().execute(launched)
            process.pidfd_send_signal(self.watcher, signal.SIGKILL)

    with Killed({}) as recorder:
        outcome = attempt(world.context, config, stdin=None, timeout_s=60, recorder=recorder)
        assert not outcome.late
        assert outcome.status.code != 0
        with pytest.raises(ZonectlError, match="the watcher"):
            recorder.seen()


def test_a_watcher_that_is_stopped_costs_no_more_than_the_time_of_a_run(world: World) -> None:
    config = world.parse(world.text("/bin/sh", "-c", "while :; do umask 22; done"))

    class Stopped(Recorder):
        def execute(self, launched: Launched) -> None:
            super().execute(launched)
            process.pidfd_send_signal(self.watcher, signal.SIGSTOP)

    with Stopped({}) as recorder:
        outcome = attempt(world.context, config, stdin=None, timeout_s=0.5, recorder=recorder)
    assert outcome.late


def test_a_watcher_that_is_killed_before_the_program_runs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = world.parse(world.text("/bin/true"))
    monkeypatch.setattr(Recorder, "_watch", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    with Recorder({}) as recorder, pytest.raises(ZonectlError, match="the watcher"):
        attempt(world.context, config, stdin=None, timeout_s=60, recorder=recorder)
