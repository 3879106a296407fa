"""Watching a zone's system calls, for real; what becomes of the zone when its watcher does not do its work."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.kernel.runtime.world import REQUIRED
from zonectl.errors import ProgramError, ZonectlError
from zonectl.kernel import process, tracer
from zonectl.runtime.learning import recording
from zonectl.runtime.learning.recording import Recorder
from zonectl.runtime.learning.trial import attempt
from zonectl.security.seccomp import architectures, observed
from zonectl.security.seccomp.observed import Permission

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.kernel.runtime.world import World
    from zonectl.runtime.launch import Launched
    from zonectl.runtime.learning.trial import Outcome

pytestmark = pytest.mark.requires(*REQUIRED, "seccomp:trace")

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


def test_signals_disturb_no_call_however_slow_the_watcher(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = recording._Notes.add  # the watcher's own step, held up

    def slowly(self: recording._Notes, call: tracer.Call) -> None:
        time.sleep(0.0005)
        noted(self, call)

    monkeypatch.setattr(recording._Notes, "add", slowly)
    # A shell forks, and sets its mask, while its children's ends are signalled to it.
    outcome, calls = watched(
        world, "/bin/sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do (mkdir /tmp/$i) & done; wait"
    )
    assert outcome.status.code == 0
    assert calls[Permission("mkdir")] == 9


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


@pytest.mark.parametrize("extra", ["", "init = true\n"])
def test_a_program_that_is_not_there(world: World, extra: str) -> None:
    with pytest.raises(ProgramError):
        watched(world, "/no/such/program", extra=extra)


def test_an_init_that_fails_before_it_is_watched(world: World) -> None:
    with pytest.raises(ZonectlError, match="passwd"):
        watched(world, "/bin/true", extra='workdir = "/etc/passwd"\n')


def test_the_first_process_cannot_stop_itself_as_ever(world: World) -> None:
    outcome, _ = watched(world, "/bin/sh", "-c", "kill -STOP 1; exit 3")
    assert outcome.status.code == 3


def test_a_run_that_takes_too_long_is_ended(world: World) -> None:
    config = world.parse(world.text("/bin/sleep", "300"))
    with Recorder(observed.telling(NATIVE)) as recorder:
        outcome = attempt(world.context, config, stdin=None, timeout_s=5.0, recorder=recorder)
        assert outcome.late
        assert outcome.status == process.ExitStatus(signal=signal.SIGKILL)
        assert any(NATIVE.names[call.number].startswith("clock_nanosleep") for call in recorder.seen())


def test_a_watcher_that_is_killed_takes_the_zone_with_it(world: World) -> None:
    config = world.parse(world.text("/bin/sh", "-c", "while :; do umask 22; done"))

    class Killed(Recorder):
        def execute(self, launched: Launched) -> None:
            super().execute(launched)
            process.pidfd_send_signal(self.watcher, signal.SIGKILL)
            # By itself: nobody else ends it.
            assert process.wait_pidfd(launched.pidfd, timeout_s=20, reap=False) is not None

    with Killed({}) as recorder:
        outcome = attempt(world.context, config, stdin=None, timeout_s=60, recorder=recorder)
        assert not outcome.late
        assert outcome.status == process.ExitStatus(signal=signal.SIGKILL)
        with pytest.raises(ZonectlError, match="the watcher"):
            recorder.seen()


def _stopped_after(world: World, then: Callable[[], None]) -> tuple[Outcome, Recorder]:
    """A run whose watcher is stopped as soon as its program runs."""
    config = world.parse(world.text("/bin/sh", "-c", "while :; do umask 22; done"))

    class Stopped(Recorder):
        def execute(self, launched: Launched) -> None:
            super().execute(launched)
            process.pidfd_send_signal(self.watcher, signal.SIGSTOP)
            then()

    with Stopped({}) as recorder:
        return attempt(world.context, config, stdin=None, timeout_s=0.5, recorder=recorder), recorder


def test_a_watcher_that_is_stopped_is_killed_soon_after_the_time_of_a_run(world: World) -> None:
    outcome, recorder = _stopped_after(world, lambda: None)
    assert outcome.late
    assert outcome.took_s < 30
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(recorder.watcher)


def test_a_stopped_watcher_holds_up_nobody_who_gives_up(world: World) -> None:
    def fail() -> None:
        raise KeyError("given up")

    with pytest.raises(KeyError, match="given up"):
        _stopped_after(world, fail)


@pytest.mark.parametrize("place", ["seize", "follow"])
def test_a_watcher_that_is_killed_before_the_program_runs(
    world: World, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    config = world.parse(world.text("/bin/true"))
    monkeypatch.setattr(tracer, place, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
    with Recorder({}) as recorder, pytest.raises(ZonectlError, match="the watcher"):
        attempt(world.context, config, stdin=None, timeout_s=60, recorder=recorder)
