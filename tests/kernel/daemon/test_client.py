from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.patience import until
from zonectl.kernel import proc

if TYPE_CHECKING:
    from tests.kernel.daemon.rig import Rig

BIG = 10_000_000
CLOCK_NANOSLEEP = 115 if os.uname().machine == "aarch64" else 230


@pytest.fixture(params=["python", "c"])
def form(request: pytest.FixtureRequest) -> str:
    """The client in both forms."""
    return str(request.param)


@pytest.fixture
def warm(rig: Rig) -> Rig:
    assert rig.run("create", stdin=subprocess.DEVNULL).stderr.strip() != b"cold"
    return rig


def _told(rig: Rig, **options: Any) -> dict[str, object]:
    done = rig.run("show", **options)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert isinstance(told, dict)
    return told


def test_a_reading_verb_runs_in_place_when_no_zoned_is_there(rig: Rig) -> None:
    assert rig.run("show").stderr == b"cold\n"
    assert not rig.zoned()


@pytest.mark.parametrize("words", [["plan"], ["--no-daemon", "list"], ["help"], ["mistyped"], []])
def test_what_needs_no_warmth_runs_in_place(warm: Rig, words: list[str]) -> None:
    assert warm.run(*words).stderr == b"cold\n"


def test_the_worker_has_the_callers_setting(warm: Rig, tmp_path: Path) -> None:
    told = _told(
        warm,
        cwd=tmp_path,
        umask=0o027,
        env={**warm.environment, "ODD": "\udcff\n=x"},
    )
    assert told["argv"] == ["show"]
    assert told["cwd"] == str(tmp_path)
    assert told["umask"] == 0o027
    assert told["environment"] == {**warm.environment, "ODD": "\udcff\n=x"}
    assert told["sid"] != os.getsid(0)


def test_a_worker_has_no_descriptor_of_zoneds(warm: Rig) -> None:
    fds = _told(warm)["fds"]
    assert isinstance(fds, dict)
    # The client's socket, that for handing over, and the pipe by which zoned hears that there is a client.
    links = sorted(link.split(":")[0] for fd, link in fds.items() if int(fd) > 2)
    assert links == ["pipe", "socket", "socket"]


@pytest.mark.parametrize(("verb", "code"), [("show", 1), ("run", 125)])
def test_a_client_that_may_open_nothing_says_so(warm: Rig, verb: str, code: int) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", 'ulimit -n 4; exec "$1" "$2"', "-", warm.launcher, verb],
        env=warm.environment,
        check=False,
        capture_output=True,
    )
    assert (done.returncode, done.stderr) == (code, b"zonectl: cannot reach zoned: Too many open files\n")


def test_a_removed_working_directory_is_passed(warm: Rig, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    done = subprocess.run(
        ["/bin/sh", "-c", 'cd "$1"; rmdir "$1"; exec "$2" list', "-", str(gone), warm.launcher],
        env=warm.environment,
        check=False,
        capture_output=True,
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("program", "status"),
    [(["true"], 0), (["sh", "-c", "exit 42"], 42), (["sh", "-c", "kill -9 $$"], 137), (["/none"], 127)],
)
def test_the_status_is_the_programs(warm: Rig, program: list[str], status: int) -> None:
    assert warm.run("exec", *program).returncode == status


def test_an_unexpected_exception_is_told_in_a_line_and_logged(warm: Rig) -> None:
    done = warm.run("set")
    assert done.returncode == 1
    assert done.stderr == b"zonectl: internal error; zoned.log in the run root has the details\n"
    assert "what nobody thought of" in Path(warm.paths.run_dir, "zoned.log").read_text()


def test_ten_megabytes_go_both_ways(warm: Rig) -> None:
    data = os.urandom(BIG)
    assert warm.run("exec", "cat", stdin=None, input=data).stdout == data


def test_a_file_of_the_callers_crosses_as_it_is(warm: Rig, tmp_path: Path) -> None:
    file = tmp_path / "input"
    file.write_bytes(b"whole\n")
    with file.open("rb") as stdin:
        assert warm.run("exec", "readlink", "/proc/self/fd/0", stdin=stdin).stdout == f"{file}\n".encode()


@pytest.mark.parametrize("redirection", ["<&-", "</dev/null"])
def test_without_a_stdin_the_program_has_dev_null(warm: Rig, redirection: str) -> None:
    command = f'exec "$0" exec readlink /proc/self/fd/0 {redirection}'
    done = subprocess.run(
        ["/bin/sh", "-c", command, warm.launcher], env=warm.environment, check=False, capture_output=True
    )
    assert (done.returncode, done.stdout) == (0, b"/dev/null\n")


def test_all_streams_may_be_closed(warm: Rig) -> None:
    command = 'exec "$0" exec true <&- >&- 2>&-'
    assert (
        subprocess.run(
            ["/bin/sh", "-c", command, warm.launcher], env=warm.environment, check=False
        ).returncode
        == 0
    )


@pytest.mark.parametrize("stream", ["</dev/zero", ">/dev/full"])
def test_a_device_is_refused(warm: Rig, stream: str) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" exec true {stream}', warm.launcher],
        env=warm.environment,
        check=False,
        capture_output=True,
    )
    assert done.returncode == 125


def test_a_reader_that_leaves_ends_the_command_as_usual(warm: Rig) -> None:
    client = warm.popen("image", stdout=subprocess.PIPE)
    assert client.stdout
    client.stdout.close()
    assert client.wait(60) == 128 + signal.SIGPIPE


def test_the_programs_own_sigpipe_is_told(warm: Rig) -> None:
    client = warm.popen("exec", "yes", stdout=subprocess.PIPE)
    assert client.stdout
    client.stdout.read(10)
    client.stdout.close()
    assert client.wait(60) == 128 + signal.SIGPIPE


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP", "QUIT", "USR1", "USR2"])
def test_signals_are_relayed(warm: Rig, name: str) -> None:
    script = f"trap 'echo got {name}; exit 7' {name}; echo ready; while :; do sleep 0.02; done"
    client = warm.popen("exec", "sh", "-c", script, stdout=subprocess.PIPE)
    assert client.stdout
    assert client.stdout.readline() == b"ready\n"
    client.send_signal(getattr(signal, f"SIG{name}"))
    assert client.stdout.read() == f"got {name}\n".encode()
    assert client.wait(60) == 7
    client.stdout.close()


def test_a_signal_that_the_caller_ignores_is_not_relayed(warm: Rig) -> None:
    command = 'trap "" HUP; exec "$0" exec sh -c "echo ready; sleep 0.3; exit 5"'
    client = subprocess.Popen(
        ["/bin/sh", "-c", command, warm.launcher], env=warm.environment, stdout=subprocess.PIPE
    )
    assert client.stdout
    client.stdout.readline()
    client.send_signal(signal.SIGHUP)
    assert client.wait(60) == 5
    client.stdout.close()


def test_stop_and_continue_are_relayed(warm: Rig) -> None:
    script = "trap 'echo stopped' TSTP; trap 'echo continued; exit 0' CONT; echo ready; while :; do sleep 0.02; done"
    client = warm.popen("exec", "sh", "-c", script, stdout=subprocess.PIPE)
    assert client.stdout
    assert client.stdout.readline() == b"ready\n"
    client.send_signal(signal.SIGTSTP)
    assert client.stdout.readline() == b"stopped\n"
    until(lambda: Path(f"/proc/{client.pid}/stat").read_text().split()[2] == "T")
    client.send_signal(signal.SIGCONT)
    assert client.stdout.readline() == b"continued\n"
    assert client.wait(60) == 0
    client.stdout.close()


def test_an_interrupt_ends_a_verb_that_is_at_work(warm: Rig) -> None:
    client = warm.popen("wait")
    until(lambda: len(_waiting(warm)) == 1)
    client.send_signal(signal.SIGINT)
    assert client.wait(60) == 130
    client = warm.popen("wait")
    until(lambda: len(_waiting(warm)) == 1)
    client.send_signal(signal.SIGTERM)
    assert client.wait(60) == 143


def test_a_killed_client_takes_its_program_along(warm: Rig, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    client = warm.popen("exec", "sh", "-c", f"echo $$ >{pid_file}; exec sleep 100")
    until(lambda: pid_file.exists() and pid_file.read_text())
    client.kill()
    client.wait()
    until(lambda: not Path(f"/proc/{int(pid_file.read_text())}").exists())


def test_a_killed_client_leaves_no_reader_behind(warm: Rig) -> None:
    client = warm.popen("wait")
    until(lambda: len(_waiting(warm)) == 1)
    client.kill()
    client.wait()
    until(lambda: not _waiting(warm))


def _waiting(rig: Rig) -> list[int]:
    """Workers that run the verb `wait`: those in clock_nanosleep(2)."""
    children = Path(f"/proc/{rig.zoned()}/task/{rig.zoned()}/children").read_text().split()
    return [int(pid) for pid in children if _is_asleep(pid)]


def _is_asleep(pid: str) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/syscall").read_text().split()[0] == str(CLOCK_NANOSLEEP)
    return False


@pytest.mark.fault("the worker of a waiting command is killed", "the client says so in a line")
def test_a_killed_worker_is_told(warm: Rig) -> None:
    client = warm.popen("wait", stderr=subprocess.PIPE)
    (worker,) = until(lambda: _waiting(warm))
    os.kill(worker, signal.SIGKILL)
    _out, err = client.communicate(timeout=60)
    assert client.returncode == 1
    assert b"worker" in err


def test_two_first_commands_make_one_zoned(rig: Rig) -> None:
    clients = [rig.popen("exec", "true") for _ in range(4)]
    assert [client.wait(60) for client in clients] == [0] * 4
    # All others are forks of the one.
    until(lambda: _heads(rig) == {rig.zoned()})


def _heads(rig: Rig) -> set[int]:
    """Those of the processes that look like zoned which are no fork of another."""
    family = {int(entry) for entry in os.listdir("/proc") if entry.isdecimal() and _is_zoned(rig, entry)}
    parents = {pid: proc.parent_pid(pid) for pid in family}
    # One that has no parent is a worker that has ended since.
    return {pid for pid, parent in parents.items() if parent is not None and parent not in family}


def _is_zoned(rig: Rig, pid: str) -> bool:
    with suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return b"zoned" in words and rig.paths.run_dir.encode() in words
    return False


@pytest.mark.parametrize("files", ["64", "16"])
@pytest.mark.fault("the caller may open 16 descriptors only", "zoned starts, the command works")
def test_few_descriptors_are_enough_to_start_zoned(rig: Rig, files: str) -> None:
    script = f'ulimit -n {files}; exec "$0" exec echo started'
    done = subprocess.run(
        ["/bin/sh", "-c", script, rig.launcher],
        env=rig.environment,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"started\n", b"")


@pytest.mark.fault("zoned cannot start", "the command fails with its reason, in a line")
def test_a_zoned_that_cannot_start_says_why(rig: Rig) -> None:
    Path(rig.paths.root, "broken").touch()
    done = rig.run("exec", "true")
    assert done.returncode == 125
    assert done.stderr == b"zonectl: zoned does not start: ImportError: it is broken\n"


@pytest.mark.parametrize("form", ["python"])  # that in C leaves the start of zoned to it
@pytest.mark.fault(
    "zoned takes longer to start than a client waits for it", "the client that started it is served"
)
def test_a_zoned_that_takes_long_to_start_is_used(rig: Rig) -> None:
    launcher = Path(rig.launcher)
    slow = launcher.read_text(encoding="utf-8")
    for before, more in (
        ("client._in_place =", "from zonectl.daemon import launch\nlaunch._START_TIMEOUT_S = 1.0\n"),
        ("    from zonectl.daemon import entry\n", "    import time; time.sleep(2)\n"),
    ):
        assert before in slow
        slow = slow.replace(before, more + before)
    launcher.write_text(slow, encoding="utf-8")
    done = rig.run("exec", "echo", "started")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"started\n", b"")


def test_a_run_root_that_another_root_uses_is_refused(warm: Rig, tmp_path: Path) -> None:
    done = warm.run("--root", str(tmp_path / "other"), "list")
    assert done.returncode == 1
    assert b"not " + str(tmp_path / "other").encode() in done.stderr


def test_a_run_root_with_a_long_name_works(tmp_path: Path, rig: Rig) -> None:
    long = tmp_path / ("x" * 120)
    done = rig.run("--run", str(long), "exec", "true")
    try:
        assert (done.returncode, done.stderr) == (0, b"")
    finally:
        assert rig.run("--run", str(long), "zoned", "stop").returncode == 0


def test_no_stranger_is_served(warm: Rig) -> None:
    os.chmod(warm.paths.socket, 0o777)
    for folder in (warm.folder, *warm.folder.parents[:3], Path(warm.paths.run_dir)):
        with suppress(OSError):
            os.chmod(folder, 0o755)
    program = (
        "import os, socket, sys; os.setuid(65534); s = socket.socket(socket.AF_UNIX);"
        "s.connect(sys.argv[1]); s.settimeout(20); sys.exit(s.recv(1) != b'')"
    )
    done = subprocess.run(
        ["/usr/bin/python3", "-c", program, warm.paths.socket], check=False, capture_output=True
    )
    assert done.returncode == 0, done.stderr


def test_the_socket_is_its_owners_alone(warm: Rig) -> None:
    assert os.stat(warm.paths.socket).st_mode & 0o777 == 0o600


@pytest.mark.fault("rubbish is written to zoned's socket", "that connection ends; zoned serves on")
def test_rubbish_on_the_socket_harms_nobody(warm: Rig) -> None:
    for rubbish in (b"", b"GET / HTTP/1.0\r\n\r\n", b"H\0\0\0\xff\xff\xff\xff", b"H\0\0\0\x04\0\0\0abcd"):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(warm.paths.socket)
            sock.sendall(rubbish)
            sock.shutdown(socket.SHUT_WR)
            sock.settimeout(20)
            with suppress(ConnectionResetError):
                assert sock.recv(100) == b""
    assert warm.run("list").returncode == 0


@pytest.mark.fault("a client connects and says nothing", "the next client is served")
def test_a_client_that_says_nothing_keeps_nobody_waiting(warm: Rig) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(warm.paths.socket)
        assert warm.run("list", timeout=10).returncode == 0


def test_many_clients_at_once(warm: Rig) -> None:
    results: list[bytes] = []

    def one(number: int) -> None:
        results.append(warm.run("exec", "sh", "-c", f"echo {number}").stdout)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == sorted(f"{number}\n".encode() for number in range(12))
