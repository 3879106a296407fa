"""zoned: it comes by itself, is killed at any moment, and starts zones again as they wish."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.e2e.instance import COMMAND
from tests.patience import until
from zonectl.kernel import proc

if TYPE_CHECKING:
    from tests.e2e.instance import Zonectl


def kill_zoned(z: Zonectl) -> None:
    pid = z.zoned()
    assert pid
    os.kill(pid, signal.SIGKILL)
    until(lambda: not z.zoned())


def targets(pid: int) -> list[str]:
    """What the descriptors of a process are of; it may close one meanwhile."""
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return found


def test_it_starts_with_the_first_command_and_leaves_when_idle(z: Zonectl) -> None:
    assert z("zoned", "status", code=3).out == "no zoned runs\n"
    assert z("list", "-c").code == 0
    assert z.zoned() == 0, "to read, none is needed"
    z.environment["ZONECTL_IDLE"] = "3"  # asking whether it is there takes a part of it
    z.run("true")
    assert z.zoned()
    until(lambda: not z.zoned())
    until(lambda: not os.path.exists(f"/sys/class/net/{z.bridge}"))


def test_it_stays_while_a_zone_runs(z: Zonectl) -> None:
    z.environment["ZONECTL_IDLE"] = "0.2"
    z.define("box")
    z("start", "box")
    time.sleep(0.8)
    assert z.zoned()
    z("stop", "box")
    until(lambda: not z.zoned())


@pytest.mark.fault(
    "zoned is killed while two zones run, one of them writing",
    "both run on; the next command has a new zoned; no line is lost or doubled; an end is its status or `unknown`",
)
def test_zones_live_on_when_it_is_killed(z: Zonectl) -> None:
    z.define("box", "i=0; while :; do i=$((i + 1)); echo $i; sleep 0.05 & wait $!; done")
    z.define("other")
    z("start", "box", "other")
    before = {name: zone["pid"] for name, zone in z.list().items()}
    kill_zoned(z)
    assert {name: zone["pid"] for name, zone in z.list().items()} == before
    assert {zone["state"] for zone in z.list().values()} == {"running"}
    # The next command that needs it has it back, with the zones in its care.
    assert z.exec("box", "echo", "here").out == "here\n"
    assert z.zoned()
    seen = len(z("logs", "box").lines)
    until(lambda: len(z("logs", "box").lines) > seen)
    numbers = [int(line) for line in z("logs", "box").lines]
    assert numbers == list(range(1, len(numbers) + 1)), "not a line is lost or doubled"
    z("stop", "box")
    assert z.list()["box"]["last_exit"] in {"status 0, stopped", "unknown, stopped"}
    os.kill(before["other"], signal.SIGKILL)
    until(lambda: z.state("other") == "installed")
    # The state is the kernel's, at once; how it ended is written down by zoned's worker a moment later.
    assert until(lambda: z.list()["other"]["last_exit"]) in {"SIGKILL", "unknown"}


@pytest.mark.fault(
    "a zone ends while no zoned is there",
    "it is `installed` at once; its status is known or `unknown`; it starts again",
)
def test_what_ends_while_nobody_watches_is_noticed(z: Zonectl) -> None:
    z.define("box", "trap 'exit 5' USR1; while :; do sleep 0.05; done")
    z("start", "box")
    pid = z.list()["box"]["pid"]
    kill_zoned(z)
    os.kill(pid, signal.SIGUSR1)
    until(lambda: not os.path.exists(f"/proc/{pid}"))
    assert z.state("box") == "installed"
    z("start", "box")
    assert z.state("box") == "running"
    assert z.list()["box"]["last_exit"] in {None, "status 5", "unknown"}


@pytest.mark.fault("zoned is killed after every start and stop", "the next verb works each time")
def test_killed_again_and_again(z: Zonectl) -> None:
    z.define("box")
    for _ in range(4):
        z("start", "box")
        kill_zoned(z)
        z("stop", "box")
        kill_zoned(z)
        assert z.state("box") == "installed"


@pytest.mark.parametrize("policy", ["always", "on-failure"])
def test_restart_policies(z: Zonectl, policy: str) -> None:
    status = 0 if policy == "always" else 3
    z.define("again", f"date +%s.%N >>/starts; exit {status}", more=f'restart = "{policy}"\n')
    starts = z.root / "zones/again/upper/starts"
    z("start", "again")
    until(lambda: starts.exists() and len(starts.read_text().split()) >= 4)
    # The pauses double: 0.1 s, 0.2 s, 0.4 s.
    before = starts.stat().st_mtime
    until(lambda: starts.stat().st_mtime > before)
    assert starts.stat().st_mtime - before > 0.1
    assert z.list()["again"]["last_exit"] == f"status {status}"


def test_success_is_no_failure(z: Zonectl) -> None:
    z.define("once", "echo x >>/starts; exit 0", more='restart = "on-failure"\n')
    z("start", "once")
    z("wait", "once")
    time.sleep(0.5)
    assert z.state("once") == "installed"
    assert (z.root / "zones/once/upper/starts").read_text() == "x\n"
    assert z.list()["once"]["last_exit"] == "status 0"


def test_never_again_after_a_user_s_stop(z: Zonectl) -> None:
    z.define("kept", "echo x >>/starts; while :; do sleep 1 & wait $!; done", more='restart = "always"\n')
    starts = z.root / "zones/kept/upper/starts"
    z("start", "kept")
    until(starts.exists)
    z("stop", "kept")
    kill_zoned(z)
    z("image", "list")
    time.sleep(0.5)
    assert z.state("kept") == "installed"
    assert starts.read_text() == "x\n"
    z("start", "kept")
    until(lambda: starts.read_text() == "x\nx\n")
    z("kill", "-s", "KILL", "kept")
    until(lambda: starts.read_text() == "x\nx\nx\n")
    z("stop", "kept")


@pytest.mark.fault("stop while a restart is pending", "it is not started again")
def test_a_stop_in_the_pause_before_the_next_start(z: Zonectl) -> None:
    """Whoever says stop while zoned waits to start the zone again means it."""
    z.define("again", "echo x >>/starts; exit 1", more='restart = "always"\n')
    starts = z.root / "zones/again/upper/starts"
    z("start", "again")
    until(lambda: starts.exists() and len(starts.read_text().split()) >= 4)
    z("stop", "again")
    counted = starts.read_text()
    time.sleep(2)
    assert starts.read_text() == counted
    assert z.state("again") == "installed"
    z("start", "again")
    until(lambda: starts.read_text() != counted)


@pytest.mark.fault("delete while a restart is pending", "the zone is gone and stays gone")
def test_a_delete_in_the_pause_before_the_next_start(z: Zonectl) -> None:
    z.define("again", "echo x >>/starts; exit 1", more='restart = "always"\n')
    starts = z.root / "zones/again/upper/starts"
    z("start", "again")
    until(lambda: starts.exists() and len(starts.read_text().split()) >= 4)
    until(lambda: z.state("again") == "installed")
    z("delete", "-f", "again")
    time.sleep(0.6)
    assert z.list() == {}


@pytest.mark.fault(
    'zoned and the init of a zone with `restart = "always"` are killed',
    "the next command brings zoned back, and it starts the zone again",
)
def test_a_restart_outlives_zoned(z: Zonectl) -> None:
    z.define("kept", "echo x >>/starts; while :; do sleep 1 & wait $!; done", more='restart = "always"\n')
    z("start", "kept")
    pid = z.list()["kept"]["pid"]
    kill_zoned(z)
    os.kill(pid, signal.SIGKILL)
    z.exec("kept", "true", code=None)
    until(lambda: z.list()["kept"]["pid"] not in {None, pid})


@pytest.mark.fault(
    "zoned and the worker of a run are killed at once", "the next zoned clears the run away, with no gc"
)
def test_the_next_zoned_undoes_what_the_last_could_not(z: Zonectl) -> None:
    words = ("run", *z.sets, "busybox", "--", "sh", "-c", "echo up; sleep 1000")
    with z.popen(*words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"up\n"
        (run,) = z.list().values()
        worker = proc.parent_pid(run["pid"])
        assert worker is not None
        assert worker not in {z.zoned(), os.getpid(), 1}
        for pid in (z.zoned(), worker):
            os.kill(pid, signal.SIGKILL)
        assert client.wait(20) == 125
    z.define("other")  # which needs a zoned, and nothing of that run
    until(lambda: set(z.list()) == {"other"})
    until(lambda: z("gc", "--dry-run").out == "")


def test_two_instances_know_nothing_of_each_other(z: Zonectl) -> None:
    z.define("box")
    z("start", "box")
    other = {**z.environment, "ZONECTL_ROOT": f"{z.folder}/root2", "ZONECTL_RUN": f"{z.folder}/run2"}
    assert z("list", "-c", "-q", env=other).out == ""
    z("exec", "box", "true", env=other, code=125)
    done = z("--run", str(z.run_root), "list", "-c", "--no-headers", env=other, code=1)
    assert "has its zones in" in done.err
    assert z.state("box") == "running"
    z.end_zoned(env=other)


def test_the_options_stand_before_the_environment(z: Zonectl) -> None:
    z.define("box")
    words = ["--root", str(z.root), "--run", str(z.run_root), "list", "-c", "-q"]
    done = subprocess.run([COMMAND, *words], env={"PATH": "/usr/bin:/bin"}, capture_output=True, check=True)
    assert done.stdout == b"box\n"


def test_what_it_keeps_of_its_caller(z: Zonectl) -> None:
    """Nothing: neither working directory, nor terminal, nor environment, nor descriptors, nor control group."""
    folder = os.open(z.folder, os.O_RDONLY | os.O_DIRECTORY)
    os.set_inheritable(folder, True)
    z("image", "list", env={**z.environment, "SECRET": "of the caller"}, cwd=z.folder, pass_fds=(folder,))
    os.close(folder)
    z.run("true", cwd=z.folder)
    pid = z.zoned()
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    assert str(z.folder) not in targets(pid)
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        assert stat.read().rpartition(")")[2].split()[4] == "0", "no controlling terminal"
    with open(f"/proc/{pid}/cgroup", encoding="utf-8") as group:
        assert z.mark in group.read().rpartition("0::")[2]
