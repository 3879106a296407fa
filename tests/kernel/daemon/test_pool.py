"""A worker serves one client after another, and nothing of the one is there for the next."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from tests.faults.processes import waits_for_a_client
from tests.kernel import forked
from tests.patience import until
from zonectl.daemon.pool import QUIET_S, WAITING, Attendant
from zonectl.kernel import process

if TYPE_CHECKING:
    from tests.kernel.daemon.rig import Rig
    from zonectl.daemon.slate import Slate
    from zonectl.daemon.worker import Setting

AFTER_ONE = 2
"""How many wait after the first command: the one that served it, and the one that was hired meanwhile."""

PUT_BACK = ("a folder", "a umask", "a variable", "streams", "nothing")
STICKS = (
    *("a descriptor", "a child", "a thread", "a handler", "an ignored signal", "a blocked signal", "a timer"),
    *("a lower limit", "another priority", "another namespace", "no dumps", "no new privileges"),
    *("fewer processors", "another group", "another root", "memory", "a session"),
)


def _told(rig: Rig) -> dict[str, object]:
    told = json.loads(rig.run("show").stdout)
    assert isinstance(told, dict)
    return told


def _pids(rig: Rig) -> set[int]:
    """Of those who wait for a client, or have one."""
    children = Path(f"/proc/{rig.zoned()}/task/{rig.zoned()}/children").read_text().split()
    return {int(pid) for pid in children} - {rig.logger()}


def _only(rig: Rig, worker: int) -> None:
    """Have `worker` be the one that serves the next client."""
    until(lambda: waits_for_a_client(worker))
    for pid in _pids(rig) - {worker}:
        os.kill(pid, signal.SIGKILL)
    until(lambda: _pids(rig) == {worker})


@pytest.fixture
def worker(rig: Rig) -> int:
    """A worker that has served once, and waits alone."""
    assert rig.run("exec", "true").returncode == 0
    until(lambda: len(_pids(rig)) == AFTER_ONE)
    worker = min(_pids(rig))
    _only(rig, worker)
    return worker


def _gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("what", PUT_BACK)
def test_a_worker_serves_the_next_client_as_if_it_were_its_first(rig: Rig, worker: int, what: str) -> None:
    before = _told(rig)
    _only(rig, worker)
    assert rig.run("create", what).returncode == 0
    _only(rig, worker)
    after = _told(rig)
    assert after["pid"] == before["pid"] == worker
    for told in (before, after):
        fds = told["fds"]
        assert isinstance(fds, dict)
        told["fds"] = sorted(link.partition(":")[0] for link in fds.values())
    assert after == before


@pytest.mark.parametrize("what", STICKS)
def test_a_worker_that_cannot_be_as_before_serves_no_other(rig: Rig, worker: int, what: str) -> None:
    assert rig.run("create", what).returncode == 0
    until(lambda: _gone(worker))
    assert _told(rig)["pid"] != worker


@pytest.mark.parametrize(
    "words", [("set",), ("create", "an error"), ("create", "an exit"), ("start", "web", "true")]
)
def test_a_worker_whose_command_ended_strangely_serves_no_other(
    rig: Rig, worker: int, words: tuple[str, ...]
) -> None:
    rig.run(*words)
    until(lambda: _gone(worker))
    assert _told(rig)["pid"] != worker


def test_what_a_client_did_not_read_is_not_shown_to_the_next(rig: Rig, worker: int) -> None:
    client = rig.popen("delete", stdout=subprocess.PIPE)
    assert client.stdout
    client.stdout.read(10)
    client.stdout.close()
    assert client.wait(timeout=60) == 128 + signal.SIGPIPE
    until(lambda: _gone(worker))
    assert b"SECRET" not in rig.run("show").stdout


def test_a_worker_whose_client_was_killed_serves_no_other(rig: Rig, worker: int) -> None:
    client = rig.popen("wait", umask=0o055)
    until(lambda: "Umask:\t0055" in Path(f"/proc/{worker}/status").read_text())
    client.kill()
    client.wait()
    until(lambda: _gone(worker))


def test_a_clients_end_that_came_just_before_a_wait_ends_it(rig: Rig, worker: int) -> None:
    client = rig.popen("wait", "unheard")
    until(lambda: "nanosleep" in Path(f"/proc/{worker}/wchan").read_text())
    client.kill()
    client.wait()
    until(lambda: _gone(worker), timeout_s=20)


@pytest.mark.usefixtures("worker")  # to serve the client: the next one does not look for any
def test_a_worker_that_is_about_to_wait_ends_with_zoned(rig: Rig) -> None:
    Path(rig.paths.root, "long rehearsal").touch()
    assert rig.run("exec", "true").returncode == 0
    sleeping = until(lambda: [pid for pid in _pids(rig) if "nanosleep" in _where(pid)])
    rig.kill_zoned()
    until(lambda: all(_gone(pid) for pid in sleeping), timeout_s=20)


def _where(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/wchan").read_text()
    except OSError:
        return ""


def test_programs_run_one_after_the_other_have_the_same_surroundings(rig: Rig, worker: int) -> None:
    script = "ls /proc/self/fd; ulimit -a; grep -E '^(Sig[BIC]|Umask|Uid|Gid|Groups|Cap)' /proc/self/status"
    first = rig.run("exec", "sh", "-c", script).stdout
    _only(rig, worker)
    assert rig.run("exec", "sh", "-c", script).stdout == first
    until(lambda: waits_for_a_client(worker))


def _session(rig: Rig) -> subprocess.Popen[bytes]:
    """A program under way, which ends with its standard input."""
    script = "echo ready; read x; exit 4"
    pipe = subprocess.PIPE
    session = rig.popen("exec", "sh", "-c", script, stdin=pipe, stdout=pipe, stderr=pipe)
    assert session.stdout
    assert session.stdout.readline() == b"ready\n"
    return session


def test_a_killed_worker_is_replaced(rig: Rig, worker: int) -> None:
    session = _session(rig)
    os.kill(worker, signal.SIGKILL)
    _out, err = session.communicate(timeout=60)
    assert (session.returncode, err) == (125, b"zonectl: zoned's worker was killed\n")
    assert _told(rig)["pid"] != worker


def test_workers_that_nobody_needs_end(rig: Rig) -> None:
    clients = [rig.popen("exec", "sleep", "0.5") for _ in range(WAITING + 3)]
    assert [client.wait(timeout=60) for client in clients] == [0] * len(clients)
    until(lambda: len(_pids(rig)) <= WAITING)
    assert rig.run("list").returncode == 0


def test_when_it_is_quiet_one_worker_waits(rig: Rig) -> None:
    assert rig.run("exec", "true").returncode == 0
    until(lambda: len(_pids(rig)) == AFTER_ONE)
    until(lambda: len(_pids(rig)) == 1, timeout_s=QUIET_S + 20)
    (last,) = _pids(rig)
    assert _told(rig)["pid"] == last


def test_a_worker_of_another_versions_ends_when_it_has_served(rig: Rig, worker: int) -> None:
    session = _session(rig)
    assert rig.run("list", launcher=rig.make_launcher("2")).returncode == 0
    session.communicate(b"\n", timeout=60)
    assert session.returncode == 4
    until(lambda: _gone(worker))


def test_a_worker_that_has_served_keeps_no_new_zoned_from_starting(rig: Rig, worker: int) -> None:
    session = _session(rig)
    rig.kill_zoned()
    session.communicate(b"\n", timeout=60)
    until(lambda: _gone(worker))
    assert rig.run("list").returncode == 0


@pytest.mark.fault("zoned is killed, and a client comes while it is ending", "the next zoned serves it")
def test_a_worker_of_a_zoned_that_is_ending_serves_nobody(tmp_path: Path) -> None:
    def worker() -> int:
        pid, ended = process.spawn(lambda: 0)
        process.wait_pidfd(ended, reap=False)  # a zombie, whose number is nobody else's

        def serve(_sock: socket.socket) -> bool:
            raise AssertionError("it is served")

        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(tmp_path / "sock"))
        listener.listen()
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(tmp_path / "sock"))
        attendant = Attendant(listener, -1, cast("Setting", None), serve=serve)
        assert not attendant._serve_one(cast("Slate", None), pid)
        assert client.recv(1) == b""
        return 0

    pidfd = forked.spawn(worker)
    ended = process.wait_pidfd(pidfd)
    os.close(pidfd)
    assert ended is not None
    assert ended.status == 0
