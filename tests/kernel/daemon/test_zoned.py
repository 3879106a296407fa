from __future__ import annotations

import os
import re
import signal
import socket
import struct
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.patience import eventually, until
from zonectl.daemon import protocol
from zonectl.kernel import proc
from zonectl.store import restarts

if TYPE_CHECKING:
    from tests.kernel.daemon.rig import Rig

WAITING = 2
"""How many workers wait after the first command: the one that served it, and the one that was hired meanwhile."""


def _run_dir(rig: Rig, name: str) -> Path:
    return Path(rig.paths.run_zone_dir(name))


def _init(rig: Rig, name: str) -> int:
    match = re.search(r'"pid": (\d+)', (_run_dir(rig, name) / "live.json").read_text())
    assert match
    return int(match[1])


def _finished(rig: Rig, name: str) -> list[str]:
    path = _run_dir(rig, name) / "finished"
    return path.read_text().splitlines() if path.exists() else []


def _policy(rig: Rig, name: str, policy: str) -> None:
    _run_dir(rig, name).mkdir(parents=True, exist_ok=True)
    (_run_dir(rig, name) / "policy").write_text(policy)


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_a_started_zone_becomes_zoneds_child(rig: Rig) -> None:
    assert rig.run("start", "web", "sleep", "100").returncode == 0
    until(lambda: _parent(_init(rig, "web")) == rig.zoned())


@pytest.mark.parametrize(
    ("script", "told"), [("exit 7", "7 None"), ("sleep 0.3; exit 8", "8 None"), ("kill -9 $$", "None 9")]
)
def test_the_end_of_a_zone_is_settled_once_with_its_status(rig: Rig, script: str, told: str) -> None:
    assert rig.run("start", "web", "sh", "-c", script).returncode == 0
    until(lambda: _finished(rig, "web"))
    time.sleep(0.3)
    assert _finished(rig, "web") == [told]


def test_zones_outlive_a_killed_zoned_and_are_adopted(rig: Rig) -> None:
    assert rig.run("start", "web", "sleep", "100").returncode == 0
    assert rig.run("start", "db", "sleep", "100").returncode == 0
    web, db, zoned = _init(rig, "web"), _init(rig, "db"), rig.zoned()
    rig.kill_zoned()
    assert _exists(web)
    os.kill(db, signal.SIGKILL)
    assert rig.run("exec", "true").returncode == 0
    assert rig.zoned() != zoned
    # The one that died while nobody watched, and the one that dies now.
    until(lambda: _finished(rig, "db"))
    os.kill(web, signal.SIGKILL)
    until(lambda: _finished(rig, "web"))


@pytest.mark.fault(
    "zoned is killed with an exec open", "the exec goes on: input, output and status are the program's"
)
def test_a_worker_outlives_a_killed_zoned(rig: Rig) -> None:
    client = rig.popen(
        "exec",
        "sh",
        "-c",
        "echo ready; read x; echo $x; exit 6",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert client.stdout
    assert client.stdout.readline() == b"ready\n"
    rig.kill_zoned()
    assert rig.run("exec", "true").returncode == 0
    out, _err = client.communicate(b"still here\n", timeout=60)
    assert (client.returncode, out) == (6, b"still here\n")


def test_another_version_takes_over_with_its_zones(rig: Rig) -> None:
    assert rig.run("start", "web", "sh", "-c", "sleep 100; exit 3").returncode == 0
    zoned, init, newer = rig.zoned(), _init(rig, "web"), rig.make_launcher("2")
    session = rig.popen(
        "exec", "sh", "-c", "echo ready; read x; exit 9", stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert session.stdout
    session.stdout.readline()
    assert rig.run("exec", "echo", "new", launcher=newer).stdout == b"new\n"
    assert rig.zoned() == zoned
    assert rig.run("zoned", "status").stdout == f"zoned 2 runs, pid {zoned}\n".encode()
    until(lambda: _parent(init) == zoned)
    # A worker of the old version goes on, and the zone is still waited for.
    session.communicate(b"\n", timeout=60)
    assert session.returncode == 9
    subprocess.run(["pkill", "-P", str(init)], check=True)
    until(lambda: _finished(rig, "web"))
    assert _finished(rig, "web") == ["3 None"] or _finished(rig, "web") == ["None 15"]


def test_two_versions_at_once_are_both_served(rig: Rig) -> None:
    newer = rig.make_launcher("2")
    assert rig.run("exec", "true").returncode == 0
    assert rig.run("list", launcher=newer).returncode == 0
    assert rig.run("list").returncode == 0


def test_a_zone_that_fails_is_started_again_with_growing_pauses(rig: Rig) -> None:
    _policy(rig, "web", "on-failure")
    assert rig.run("start", "web", "false").returncode == 0
    until(lambda: len(_finished(rig, "web")) >= 3)
    note = restarts.load(rig.paths, "web")
    assert note
    assert note.failures >= 2
    (_run_dir(rig, "web") / "policy").write_text("no")


def test_a_success_is_not_started_again(rig: Rig) -> None:
    _policy(rig, "web", "on-failure")
    assert rig.run("start", "web", "true").returncode == 0
    until(lambda: _finished(rig, "web"))
    time.sleep(0.4)
    assert len(_finished(rig, "web")) == 1


def test_a_users_stop_is_the_end(rig: Rig) -> None:
    _policy(rig, "web", "always")
    assert rig.run("start", "web", "sleep", "100").returncode == 0
    assert rig.run("stop", "web").returncode == 0
    until(lambda: _finished(rig, "web"))
    until(lambda: restarts.load(rig.paths, "web") is None)
    time.sleep(0.4)
    assert len(_finished(rig, "web")) == 1
    assert restarts.load(rig.paths, "web") is None


def test_a_start_while_a_new_zoned_looks_for_what_runs_is_no_end(rig: Rig) -> None:
    _policy(rig, "web", "always")
    Path(rig.paths.root, "found nothing before").write_text("web")
    assert rig.run("start", "web", "sleep", "100").returncode == 0
    until(_run_dir(rig, "web").joinpath("still running").exists)
    until(lambda: _parent(_init(rig, "web")) == rig.zoned())
    time.sleep(0.4)
    note = restarts.load(rig.paths, "web")
    assert note is not None
    assert (note.failures, note.due_s) == (0, None)
    assert not _finished(rig, "web")
    assert rig.run("stop", "web").returncode == 0
    until(lambda: _finished(rig, "web"))


@pytest.mark.fault("zoned is killed with a restart pending", "the next zoned starts the zone")
def test_a_pending_start_outlives_a_killed_zoned(rig: Rig) -> None:
    _policy(rig, "web", "always")
    assert rig.run("start", "web", "true").returncode == 0
    until(lambda: len(_finished(rig, "web")) >= 3)
    until(lambda: (note := restarts.load(rig.paths, "web")) and note.due_s)
    rig.kill_zoned()
    count = len(_finished(rig, "web"))
    assert rig.run("exec", "true").returncode == 0
    until(lambda: len(_finished(rig, "web")) > count)
    (_run_dir(rig, "web") / "policy").write_text("no")


@pytest.mark.parametrize("what", ["start", "finish"])
@pytest.mark.fault(
    "zoned is killed while its worker starts a zone again, and the next one looks before that has failed",
    "the next zoned starts the zone when the note says",
)
def test_a_pause_that_another_has_noted_meanwhile_is_kept(rig: Rig, what: str) -> None:
    _policy(rig, "web", "always")
    (_run_dir(rig, "web") / f"hold up {what}").touch()
    assert rig.run("start", "web", "true").returncode == 0
    until((_run_dir(rig, "web") / f"held up {what}").exists)
    note = restarts.Note(boot_id=proc.boot_id(), failures=3, due_s=time.monotonic() + 0.3)
    restarts.save(rig.paths, "web", note)
    count = len(_finished(rig, "web"))
    (_run_dir(rig, "web") / f"hold up {what}").unlink()
    # The end that is told of first may be the one that was held up.
    until(lambda: len(_finished(rig, "web")) > count + 1)
    (_run_dir(rig, "web") / "policy").write_text("no")


def _due_s(rig: Rig, name: str) -> float:
    """When the zone is to be started again; 0 where it is not."""
    note = restarts.load(rig.paths, name)
    return (note and note.due_s) or 0.0


def test_a_start_that_is_no_longer_wanted_does_not_happen(rig: Rig) -> None:
    _policy(rig, "web", "always")
    assert rig.run("start", "web", "true").returncode == 0
    # A pause that is long enough for this process to be held up in.
    due_s = until(lambda: (due_s := _due_s(rig, "web")) > time.monotonic() + 1.2 and due_s)
    assert restarts.cancel(rig.paths, "web")
    assert not restarts.cancel(rig.paths, "web")
    count = len(_finished(rig, "web"))
    time.sleep(due_s + 0.5 - time.monotonic())
    assert len(_finished(rig, "web")) == count


def test_a_client_that_is_gone_before_its_welcome_is_no_news(rig: Rig) -> None:
    assert rig.run("exec", "true").returncode == 0
    log = Path(rig.paths.run_dir, "zoned.log")
    before = log.read_text()
    hello = protocol.Hello(
        version=b"1",
        umask=0o22,
        terminals=frozenset(),
        sent=(),
        window=(24, 80),
        program=(b"/nowhere",),
        argv=(b"exec", b"true"),
        environment=(),
    )
    folder = os.open("/", os.O_PATH)
    for body in (hello.pack(), None):
        for _ in range(5):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(rig.paths.socket)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                if body is not None:
                    protocol.send(client, protocol.HELLO, body, descriptors=(folder,))
    os.close(folder)
    assert rig.run("exec", "true").returncode == 0
    assert not eventually(lambda: "Traceback" in log.read_text().removeprefix(before), timeout_s=0.5)


def _descriptors(pid: int) -> dict[int, str]:
    found = {}
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            found[int(fd.name)] = os.readlink(fd)
    return found


def test_zoned_has_nothing_of_its_callers(rig: Rig, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            "/bin/sh",
            "-c",
            'umask 077; exec 9</etc/passwd; echo 500 >/proc/self/oom_score_adj; exec nice "$0" exec true',
            rig.launcher,
        ],
        env={**rig.environment, "CALLERS": "own"},
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0
    proc = Path(f"/proc/{rig.zoned()}")
    assert (proc / "cwd").readlink() == Path("/")
    assert b"CALLERS" not in (proc / "environ").read_bytes()
    assert "Umask:\t0022" in (proc / "status").read_text()
    fds = _descriptors(rig.zoned())
    assert fds[0] == "/dev/null"
    assert fds[1] == fds[2] == str(Path(rig.paths.run_dir, "zoned.log"))
    assert "/etc/passwd" not in fds.values()
    fields = (proc / "stat").read_text().rpartition(")")[2].split()
    assert int(fields[4]) == 0  # no controlling terminal
    assert _parent(rig.zoned()) == 1 or _parent(rig.zoned()) != os.getpid()
    assert os.getpriority(os.PRIO_PROCESS, rig.zoned()) == 0


def test_an_idle_zoned_leaves_and_leaves_nothing(rig: Rig) -> None:
    rig.environment["ZONECTL_IDLE"] = "0.4"
    assert rig.run("exec", "true").returncode == 0
    zoned, logger = rig.zoned(), rig.logger()
    until(lambda: not _exists(zoned))
    assert not _exists(logger)
    assert not Path(rig.paths.socket).exists()
    assert Path(rig.paths.root, "left").exists()


def test_a_command_that_ends_between_two_looks_is_no_idleness(rig: Rig) -> None:
    idle_s = 3.0  # it looks every quarter of that whether a worker is busy: at 0.75 s, at 1.5 s
    rig.environment["ZONECTL_IDLE"] = str(idle_s)
    assert rig.run("exec", "true").returncode == 0
    time.sleep(0.9)
    begun = time.monotonic()
    assert rig.run("exec", "true").returncode == 0
    until(lambda: not rig.zoned())
    assert time.monotonic() - begun >= idle_s


def test_a_zoned_with_a_zone_is_not_idle(rig: Rig) -> None:
    rig.environment["ZONECTL_IDLE"] = "0.2"
    assert rig.run("start", "web", "sleep", "100").returncode == 0
    zoned = rig.zoned()
    time.sleep(1)
    assert rig.zoned() == zoned
    os.kill(_init(rig, "web"), signal.SIGKILL)
    until(lambda: not rig.zoned())


def test_commands_come_through_while_zoned_leaves(rig: Rig) -> None:
    rig.environment["ZONECTL_IDLE"] = "0.05"
    for _ in range(8):
        assert rig.run("exec", "true").returncode == 0
        time.sleep(0.12)


def _waiting(rig: Rig) -> list[int]:
    children = Path(f"/proc/{rig.zoned()}/task/{rig.zoned()}/children").read_text().split()
    return [int(pid) for pid in children if int(pid) != rig.logger()]


@pytest.mark.fault("all waiting workers are killed", "the next command works, and they are replaced")
def test_killed_workers_are_replaced(rig: Rig) -> None:
    assert rig.run("exec", "true").returncode == 0
    until(lambda: len(_waiting(rig)) == WAITING)
    time.sleep(0.2)
    for pid in _waiting(rig):
        os.kill(pid, signal.SIGKILL)
    assert rig.run("exec", "true").returncode == 0
    until(lambda: len(_waiting(rig)) == WAITING)


def test_waiting_workers_end_with_their_zoned(rig: Rig) -> None:
    assert rig.run("exec", "true").returncode == 0
    until(lambda: len(_waiting(rig)) == WAITING)
    waiting = _waiting(rig)
    rig.kill_zoned()
    until(lambda: not any(_exists(pid) for pid in waiting))
    assert rig.run("exec", "true").returncode == 0


def test_programs_do_not_inherit_the_workers_signals(rig: Rig) -> None:
    assert rig.run("exec", "true").returncode == 0
    status = rig.run("exec", "cat", "/proc/self/status").stdout.decode()
    ignored = int(re.findall(r"SigIgn:\t(\w+)", status)[0], 16)
    assert not ignored & sum(1 << (signum - 1) for signum in (1, 2, 10, 12, 15, 17))
    assert re.findall(r"SigBlk:\t(\w+)", status) == ["0" * 16]


def test_stop_and_status(rig: Rig) -> None:
    assert rig.run("zoned", "status").returncode == 3
    assert rig.run("zoned", "stop").returncode == 1
    assert rig.run("start", "web", "sleep", "100").returncode == 0
    zoned = rig.zoned()
    assert rig.run("zoned", "status").stdout == f"zoned 1 runs, pid {zoned}\n".encode()
    assert rig.run("zoned", "stop").returncode == 0
    assert not rig.zoned()
    assert _exists(_init(rig, "web"))
    assert rig.run("zoned", "nonsense").returncode == 2


@pytest.mark.fault("a second zoned is started", "it is refused, the first serves on")
def test_a_second_zoned_is_refused(rig: Rig) -> None:
    assert rig.run("exec", "true").returncode == 0
    done = rig.run("zoned", "serve")
    assert done.returncode == 1
    assert b"runs already" in done.stderr


def test_a_socket_from_systemd(rig: Rig) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(rig.paths.socket)
    listener.listen()
    pid = os.fork()
    if pid == 0:
        os.dup2(listener.fileno(), 3)
        os.execve(
            rig.launcher,
            [rig.launcher, "zoned", "serve"],
            {**rig.environment, "LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())},
        )
    listener.close()
    assert rig.run("exec", "echo", "served").stdout == b"served\n"
    assert rig.zoned() == pid
    os.kill(pid, signal.SIGTERM)
    assert os.waitpid(pid, 0)[1] == 0
    assert Path(rig.paths.socket).exists()


CGROUP2 = Path("/sys/fs/cgroup/unified")


@pytest.mark.requires("root", "cgroup2")
def test_zoned_lives_in_a_group_of_its_own_and_removes_it(rig: Rig) -> None:
    leaf = CGROUP2 / rig.instance.cgroup / "zoned"
    Path(rig.paths.root, "leaf").write_text(str(leaf))
    assert rig.run("exec", "true").returncode == 0
    assert str(rig.zoned()) in (leaf / "cgroup.procs").read_text().split()
    assert rig.run("zoned", "stop").returncode == 0
    assert not leaf.parent.exists()


def test_told_to_leave_while_it_leaves_it_does_the_rest_as_well(rig: Rig) -> None:
    Path(rig.paths.root, "leave slowly").touch()
    rig.environment["ZONECTL_IDLE"] = "0.2"
    assert rig.run("exec", "true").returncode == 0
    pid = rig.zoned()
    assert pid
    leaving = Path(rig.paths.root, "leaving")
    until(leaving.exists)
    for _ in range(3):
        os.kill(pid, signal.SIGTERM)
    Path(rig.paths.root, "leave now").touch()
    until(lambda: not rig.zoned())
    assert Path(rig.paths.root, "left").exists()
