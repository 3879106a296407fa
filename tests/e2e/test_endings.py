"""How zones end, and what ends in them: each fault on its own, and what is said of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.instance import COMMAND
from tests.patience import until
from tests.requirements import cgroup2_mount

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.instance import Zonectl

STOP_S = 15.0


def lone(z: Zonectl, name: str, command: str, more: str = "") -> None:
    """A zone of the shell's own words, with no trap."""
    text = f'name = "{name}"\ncommand = ["/bin/sh", "-c", {json.dumps(command)}]\n'
    z("create", z.write(name, f'{text}root = {{ image = "busybox" }}\n{more}'))


@pytest.mark.fault("a thousand zombies that init does not reap", "stop ends the zone, and nothing is left")
def test_zombies_by_the_thousand(z: Zonectl) -> None:
    lone(z, "dead", "exec sleep 1000000")
    z("start", "dead")
    # Each is an orphan at once, and so the child of an init that never waits.
    z.exec("dead", "sh", "-c", "i=0; while [ $i -lt 1000 ]; do (true &); i=$((i+1)); done")
    count = "grep -l '^State:.Z' /proc/[0-9]*/status | wc -l"
    until(lambda: int(z.exec("dead", "sh", "-c", count).out) >= 1000)
    z("stop", "dead", timeout=STOP_S)
    assert z.state("dead") == "installed"


@pytest.mark.fault("a storm of 2000 signals at init", "the zone goes on, and heeds the next stop")
def test_a_storm_of_signals(z: Zonectl) -> None:
    z.define("calm")
    z("start", "calm")
    pid = z.list()["calm"]["pid"]
    until(lambda: z.runs("calm", "sleep 1"))
    for _ in range(500):
        for signum in (signal.SIGWINCH, signal.SIGCHLD, signal.SIGCONT, signal.SIGURG):
            os.kill(pid, signum)
    assert z.list()["calm"]["pid"] == pid
    assert z.exec("calm", "echo", "well").out == "well\n"
    z("stop", "calm", timeout=STOP_S)


@pytest.mark.fault("init ends at once", "start succeeds, and the status is known")
def test_an_init_that_is_gone_at_once(z: Zonectl) -> None:
    lone(z, "brief", "exit 3")
    z("start", "brief")
    z("wait", "brief", code=3)
    assert z.state("brief") == "installed"
    assert z.show("brief")["last"]["status"] == 3


@pytest.mark.fault(
    "exec into a zone that is about to end", "the program's status, or 125 with one line; never a hang"
)
def test_exec_into_a_dying_zone(z: Zonectl) -> None:
    z.define("dying")
    for _ in range(8):
        z("start", "dying")
        ending = z.popen("stop", "-t", "0", "dying")
        for _ in range(4):
            done = z("exec", "dying", "--", "true", code=None, timeout=STOP_S)
            assert done.code in {0, 125, 137}, done.err
            assert done.err.count("\n") <= 2
        assert ending.wait(STOP_S) == 0
        assert z.state("dying") == "installed"


@pytest.mark.fault(
    "the command's standard output is closed", "it fails in one line; the zone is as the command left it"
)
def test_a_closed_standard_output(z: Zonectl) -> None:
    z.define("quiet")
    for words in (["create", z.file("hello")], ["list", "-c"], ["show", "quiet"]):
        done = subprocess.run(
            ["/bin/sh", "-c", 'exec "$@" >&-', "-", COMMAND, *words],
            env=z.environment,
            capture_output=True,
            check=False,
            timeout=STOP_S,
        )
        assert b"Traceback" not in done.stderr
        assert done.returncode in {0, 1}
    assert set(z.list()) == {"quiet", "hello"}


@pytest.mark.fault(
    "a reader of the log stands still, with a pipe that is full",
    "the zone writes on, and all of it is in the log",
)
def test_a_stalled_reader_of_the_log(z: Zonectl) -> None:
    z.define("loud", "i=0; while [ $i -lt 40000 ]; do i=$((i+1)); echo $i; done; sleep 1000000 & wait")
    z("start", "loud")
    with z.popen("logs", "-f", "loud", stdout=subprocess.PIPE) as stalled:
        assert stalled.stdout is not None
        assert stalled.stdout.readline() == b"1\n"
        until(lambda: z("logs", "--tail", "1", "loud").out == "40000\n", timeout_s=60)
        assert z("logs", "loud").lines == [str(number) for number in range(1, 40001)]
        z("stop", "-t", "0", "loud", timeout=STOP_S)
        assert stalled.poll() is None, "more than its pipe holds is still to be read"
        assert stalled.stdout.read().endswith(b"40000\n")
        assert stalled.wait(STOP_S) == 0


@pytest.mark.fault("the zone's log is on a full disk", "the zone runs on, and can be stopped")
def test_a_full_log_disk(z: Zonectl, tmp_path: Path) -> None:
    z.define("loud", "while :; do echo 0123456789012345678901234567890123456789; done")
    log = z.root / "zones" / "loud" / "log"
    log.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(log)], check=True)
    try:
        z("start", "loud")
        until(lambda: "bytes of output lost: No space left on device" in z.complaints())
        assert z.exec("loud", "echo", "well").out == "well\n"
        z("stop", "loud", timeout=STOP_S + 10)
        assert z.state("loud") == "installed"
        (z.run_root / "zoned.log").write_text("", encoding="utf-8")
    finally:
        subprocess.run(["umount", "-l", str(log)], check=True)


@pytest.fixture
def frozen_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system on a loop device that can be frozen: who writes to it then sleeps in the kernel (state D)."""
    image, mounted = tmp_path / "disk", tmp_path / "mounted"
    mounted.mkdir()
    with image.open("wb") as file:
        file.truncate(32 << 20)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(mounted)], check=True)
    try:
        yield mounted
    finally:
        subprocess.run(["fsfreeze", "-u", str(mounted)], check=False, capture_output=True)
        subprocess.run(["umount", str(mounted)], check=True)


@pytest.mark.requires("program:fsfreeze", "program:mke2fs")
@pytest.mark.fault(
    "a process of the zone sleeps in the kernel and cannot be killed (state D)",
    "stop fails in bounded time and names the process; the zone is said to run on; it ends once the kernel lets go",
)
def test_a_process_that_cannot_be_killed(z: Zonectl, frozen_disk: Path) -> None:
    z.define(
        "stuck",
        "sleep 1; while :; do date > /mnt/file; done",
        f'stop_timeout = "1s"\n[[mount]]\nsource = "{frozen_disk}"\ntarget = "/mnt"\n',
    )
    z("start", "stuck")
    until(lambda: z.exec("stuck", "cat", "/mnt/file", code=None).out)
    subprocess.run(["fsfreeze", "-f", str(frozen_disk)], check=True)
    until(lambda: "D" in _states(z))
    done = z("stop", "stuck", code=None, timeout=40)
    assert done.code == 1
    assert "did not end" in done.err
    assert z.state("stuck") in {"running", "shutting_down"}
    subprocess.run(["fsfreeze", "-u", str(frozen_disk)], check=True)
    until(lambda: z.state("stuck") == "installed")


def _states(z: Zonectl) -> str:
    """The states of the zone's processes, a letter each (proc_pid_stat(5)): the shell, or the child that writes."""
    mount = cgroup2_mount()
    assert mount is not None
    found = []
    for path in (mount / f"zonectl-{z.mark}" / z.list()["stuck"]["id"]).glob("**/cgroup.procs"):
        for pid in path.read_text(encoding="ascii").split():
            with suppress(OSError):
                stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
                found.append(stat.rpartition(")")[2].split()[0])
    return "".join(found)
