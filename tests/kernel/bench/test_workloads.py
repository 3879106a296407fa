"""Each workload does what it says it does: the system calls it makes are counted, and what it leaves."""

from __future__ import annotations

import collections
import os
import re
import resource
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kernel.bench.questions import TIMEOUT_S, ask, nanoseconds
from zonectl.bench import pipes, programs
from zonectl.bench.runner import Place
from zonectl.bench.workloads import CATALOGUE
from zonectl.errors import BenchError
from zonectl.kernel import proc

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.requires("program:cc", "program:strace")

FEW, MANY = 10, 110
MIB = 1 << 20
CHUNK_BYTES = 64 << 10  # of the probe: network.c


@pytest.fixture
def server(probe_program: str) -> Iterator[str]:
    """The address of a server on this host, with one of iperf3."""
    argv = [probe_program, "echo", "127.0.0.1", "0", "iperf3"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as serving:
        assert serving.stdin
        assert serving.stdout
        yield serving.stdout.readline().decode("ascii").strip()
        serving.stdin.close()
        assert serving.wait(TIMEOUT_S) == 0, "it ends with its input"


def calls(probe: str, folder: Path, request: str) -> collections.Counter[str]:
    """How often the probe and its children make which call to answer the request."""
    trace = folder / "trace"
    subprocess.run(
        ["strace", "-f", "-qq", "-e", "signal=none", "-o", str(trace), probe, "serve"],
        check=True,
        input=request.encode() + b"\n",
        stdout=subprocess.PIPE,
        timeout=TIMEOUT_S,
    )
    text = trace.read_text(encoding="utf-8", errors="replace")
    return collections.Counter(re.findall(r"^\d+ +(\w+)\(", text, re.MULTILINE))


def calls_of_an_operation(probe: str, folder: Path, workload: str, settings: str = "") -> dict[str, float]:
    """What `MANY - FEW` operations more cost, each: what is prepared does not count."""
    few = calls(probe, folder, f"{workload} {FEW} {settings}")
    many = calls(probe, folder, f"{workload} {MANY} {settings}")
    many.subtract(few)
    return {call: count / (MANY - FEW) for call, count in many.items() if abs(count) > (MANY - FEW) / 10}


# ------------------------------------------------------------------------------------------- what calls they make


@pytest.mark.parametrize(
    ("workload", "expected"),
    [
        ("integer", {}),
        ("floating", {}),
        ("spin", {}),
        ("copy", {}),
        ("chase", {}),
        ("clock", {}),
        ("getpid", {"getpid": 1}),
        ("pipe", {"read": 1, "write": 1}),
        ("switch", {"read": 2, "write": 2}),
    ],
)
def test_calls_without_files(
    probe_program: str, tmp_path: Path, workload: str, expected: dict[str, float]
) -> None:
    assert calls_of_an_operation(probe_program, tmp_path, workload) == expected


def test_as_many_calls_as_loops(probe_program: str, tmp_path: Path) -> None:
    assert calls(probe_program, tmp_path, "getpid 1000")["getpid"] == 1000


@pytest.mark.parametrize(
    ("workload", "expected"),
    [
        ("create", {"openat": 1, "close": 1, "unlinkat": 1}),
        ("stat", {"newfstatat": 1}),
        ("open", {"openat": 1, "close": 1}),
        ("write", {"pwrite64": 1}),
        ("read", {"pread64": 1}),
        ("pread", {"pread64": 1}),
        ("pwrite", {"pwrite64": 1}),
        ("sync", {"pwrite64": 1, "fsync": 1}),
    ],
)
def test_calls_on_files(
    probe_program: str, tmp_path: Path, workload: str, expected: dict[str, float]
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    assert calls_of_an_operation(probe_program, tmp_path, workload, f"folder={folder}") == expected
    assert os.listdir(folder) == [], "nothing is left"


def test_a_sample_of_sequential_writes_is_synced(probe_program: str, tmp_path: Path) -> None:
    counted = calls(probe_program, tmp_path, f"write 40 folder={tmp_path}")
    # Once for the file as it is made, once within what is timed.
    assert counted["fsync"] == 2


def test_processes(probe_program: str, tmp_path: Path) -> None:
    of_exec = calls_of_an_operation(probe_program, tmp_path, "exec")
    assert of_exec["clone"] == of_exec["execve"] == of_exec["wait4"] == 1
    of_fork = calls_of_an_operation(probe_program, tmp_path, "fork")
    assert of_fork["clone"] == of_fork["wait4"] == of_fork["exit_group"] == 1
    assert "execve" not in of_fork


def test_threads(probe_program: str, tmp_path: Path) -> None:
    found = calls_of_an_operation(probe_program, tmp_path, "thread")
    assert found["clone3"] == found["exit"] == 1


def test_pages_are_touched_one_by_one(probe_program: str) -> None:
    def faults(pages: int) -> int:
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt
        ask(probe_program, f"fault {pages}")
        return resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt - before

    # A start has some more or less.
    assert 9900 < faults(20000) - faults(10000) < 10100


def test_the_network(probe_program: str, tmp_path: Path, server: str) -> None:
    where = f"server={server}"
    assert calls_of_an_operation(probe_program, tmp_path, "tcp", where) == {"read": 1, "write": 1}
    assert calls_of_an_operation(probe_program, tmp_path, "udp", where) == {"sendto": 1, "recvfrom": 1}
    received = calls(probe_program, tmp_path, f"receive 2 {where}")
    assert received["sendto"] == 1
    assert received["recvfrom"] >= 2 * MIB / CHUNK_BYTES
    of_connect = calls_of_an_operation(probe_program, tmp_path, "connect", where)
    assert of_connect["socket"] == of_connect["connect"] == of_connect["read"] == of_connect["close"] == 1


# -------------------------------------------------------------------------------------------------------- time


@pytest.mark.parametrize("workload", ["integer", "floating", "spin"])
def test_more_loops_take_more_time(probe_program: str, workload: str) -> None:
    few = min(map(nanoseconds, ask(probe_program, *[f"{workload} 1000"] * 5)))
    (many,) = map(nanoseconds, ask(probe_program, f"{workload} 100000"))
    assert 0 < few < many


@pytest.mark.parametrize(
    ("plain", "planted"),
    [("spin 20000", "spin 20000 extra=1000"), ("floating 200000", "floating 200000 plant=1000")],
)
def test_a_planted_loss_is_work_that_is_done(probe_program: str, plain: str, planted: str) -> None:
    without = min(map(nanoseconds, ask(probe_program, *[plain] * 5)))
    # Eleven times as much: the machine's mood is another thing.
    assert without < min(map(nanoseconds, ask(probe_program, *[planted] * 5)))


# -------------------------------------------------------------------------------------------------- the server


def test_the_server_counts_what_comes(server: str) -> None:
    address, port = server.split(":")
    with socket.create_connection((address, int(port)), TIMEOUT_S) as connection:
        assert connection.recv(10) == b"z"
        connection.sendall(b"s" + bytes(3 * MIB))
        connection.shutdown(socket.SHUT_WR)
        assert int.from_bytes(connection.recv(10), "big") == 3 * MIB
        assert connection.recv(10) == b""


def test_the_server_sends_as_much_as_is_asked_for(server: str) -> None:
    """However the number comes, and nothing but zeros: what others have sent is theirs."""
    address, port = server.split(":")
    wanted = (3 * MIB + 1).to_bytes(8, "big")
    with socket.create_connection((address, int(port)), TIMEOUT_S) as other:
        other.sendall(b"s" + b"secret" * MIB)
    for pieces in ((b"d" + wanted,), (b"d", wanted), (b"d" + wanted[:3], wanted[3:7], wanted[7:])):
        with socket.create_connection((address, int(port)), TIMEOUT_S) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            assert connection.recv(10) == b"z"
            for piece in pieces:
                connection.sendall(piece)
            with connection.makefile("rb") as stream:
                assert stream.read(3 * MIB + 1) == bytes(3 * MIB + 1)
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(10) == b""


def test_who_takes_nothing_or_asks_for_too_much_keeps_nobody_waiting(probe_program: str, server: str) -> None:
    address, port = server.split(":")
    with socket.create_connection((address, int(port)), TIMEOUT_S) as idle:
        idle.sendall(b"d" + b"\xff" * 8)
        with idle.makefile("rb") as stream:
            assert stream.read(2) == b"z\0", "it has begun"
        (answer,) = ask(probe_program, f"receive 3 server={server}")
        assert nanoseconds(answer) > 0
    with socket.create_connection((address, int(port)), TIMEOUT_S) as insatiable:
        assert insatiable.recv(1) == b"z"
        insatiable.sendall(b"d" + bytes(9))
        assert insatiable.recv(10) == b"", "it hangs up"


def test_the_server_echoes_and_hangs_up_on_nonsense(server: str) -> None:
    address, port = server.split(":")
    with socket.create_connection((address, int(port)), TIMEOUT_S) as echoed:
        assert echoed.recv(10) == b"z"
        echoed.sendall(b"ehallo")
        assert echoed.recv(5, socket.MSG_WAITALL) == b"hallo"
    with socket.create_connection((address, int(port)), TIMEOUT_S) as nonsense:
        assert nonsense.recv(10) == b"z"
        nonsense.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert nonsense.recv(10) == b""


def iperf_port(server: str) -> int:
    address, port = server.split(":")
    with socket.create_connection((address, int(port)), TIMEOUT_S) as asking:
        assert asking.recv(1) == b"z"
        asking.sendall(b"i")
        return int.from_bytes(asking.recv(2, socket.MSG_WAITALL), "big")


def is_nobody(pid: int) -> bool:
    """Whether it has nobody's ids, no group besides, no capability, and no way to any."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    told = dict(line.split(":\t", 1) for line in status.splitlines())
    ids = {each for key in ("Uid", "Gid") for each in told[key].split()}
    held = {int(told[key], 16) for key in ("CapPrm", "CapEff", "CapInh", "CapAmb")}
    return (ids, told["Groups"].strip(), held, told["NoNewPrivs"]) == ({"65534"}, "", {0}, "1")


@pytest.mark.requires("root")
def test_the_server_is_nobody_and_starts_no_other_that_is_not_wanted(probe_program: str) -> None:
    """Any zone of the bridge reaches it."""
    argv = [probe_program, "echo", "127.0.0.1", "0"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as serving:
        assert serving.stdin
        assert serving.stdout
        address, port = serving.stdout.readline().decode("ascii").strip().split(":")
        assert is_nobody(serving.pid)
        with socket.create_connection((address, int(port)), TIMEOUT_S) as asking:
            assert asking.recv(1) == b"z"
            asking.sendall(b"i")
            assert asking.recv(2) == b"", "it hangs up"
        assert proc.children(serving.pid) == []
        serving.stdin.close()
        assert serving.wait(TIMEOUT_S) == 0


@pytest.mark.requires("program:iperf3")
def test_the_server_has_one_of_iperf3_beside_it_which_ends_with_it(probe_program: str) -> None:
    argv = [probe_program, "echo", "127.0.0.1", "0", "iperf3"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as serving:
        assert serving.stdin
        assert serving.stdout
        server = serving.stdout.readline().decode("ascii").strip()
        port = iperf_port(server)
        assert iperf_port(server) == port, "the same one"
        socket.create_connection(("127.0.0.1", port), TIMEOUT_S).close()
        (beside,) = proc.children(serving.pid)
        assert is_nobody(beside)
        serving.stdin.close()
        assert serving.wait(TIMEOUT_S) == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), TIMEOUT_S)


@pytest.mark.parametrize(
    "words", [["127.0.0.1", ""], ["127.0.0.1", "65536"], ["127.0.0.1", "x"], ["localhost", "1"], ["::1", "0"]]
)
def test_the_server_refuses_what_is_no_address(probe_program: str, words: list[str]) -> None:
    done = subprocess.run(
        [probe_program, "echo", *words], check=False, capture_output=True, text=True, input=""
    )
    assert done.returncode == 2
    assert done.stderr.startswith("probe: not an address and a port")


# ------------------------------------------------------------------------------------------------------- programs


def spawned(probe: str, folder: Path, *argv: str, stdin: str = "") -> str:
    """What the probe answers when it is to run the program twice in a folder below `folder`."""
    settings = " ".join(f"{key}={value}" for key, value in programs.program(argv, stdin=stdin))
    (answer,) = ask(probe, f"spawn 2 {settings} folder={folder}")
    assert os.listdir(folder) == [], "nothing is left"
    return answer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty one, which becomes the program's."""
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder"


def test_a_program_runs_as_often_as_is_asked_for(probe_program: str, folder: Path, tmp_path: Path) -> None:
    answer = spawned(probe_program, folder, "/bin/sh", "-c", f"echo ran >> {tmp_path}/out")
    assert nanoseconds(answer) > 0
    assert (tmp_path / "out").read_text() == "ran\nran\n"


def test_a_program_gets_its_input_each_time_and_its_own_folder_and_environment(
    probe_program: str, folder: Path, tmp_path: Path
) -> None:
    script = (
        f"env | sort > {tmp_path}/env; pwd >> {tmp_path}/cwd; cat >> {tmp_path}/in; mkdir -p a/b; : > a/b/c"
    )
    nanoseconds(spawned(probe_program, folder, "/bin/sh", "-c", script, stdin="a, b\n"))
    assert (tmp_path / "in").read_text() == "a, b\na, b\n"
    (cwd,) = set((tmp_path / "cwd").read_text().split())
    assert re.fullmatch(rf"{folder}/zonectl-probe\.\w{{6}}", cwd)
    assert (tmp_path / "env").read_text().splitlines() == [
        "HOME=.",
        "LC_ALL=C.UTF-8",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        f"PWD={cwd}",
        "TMPDIR=.",
    ]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo first; echo the last words >&2; exit 3", "/bin/sh ended with status 3: the last words"),
        ("kill -9 $$", "/bin/sh was killed by signal 9"),
        ("printf 'a\\033[2J' >&2; exit 1", "/bin/sh ended with status 1: a?[2J"),
        ("exit 1", "/bin/sh ended with status 1: "),
    ],
)
def test_a_program_that_fails_is_no_sample(
    probe_program: str, folder: Path, script: str, reason: str
) -> None:
    assert spawned(probe_program, folder, "/bin/sh", "-c", script) == f"no {reason}"


def test_a_program_that_is_not_there_is_said_to_be(probe_program: str, folder: Path) -> None:
    assert spawned(probe_program, folder, "/nonexistent/cc") == (
        "no execve /nonexistent/cc: No such file or directory"
    )


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ("", "a program must be told"),
        ("argv=true", 'the program must be an absolute path, not "true"'),
        ("argv=/bin/%", 'not an encoded argument: "/bin/%"'),
        ("argv=/bin/%4", 'not an encoded argument: "/bin/%4"'),
        ("argv=/bin/%zz", 'not an encoded argument: "/bin/%zz"'),
        ("argv=/bin/true stdin=%", "the input is not encoded"),
        ("argv=/bin/true folder=/nonexistent", "mkdir /nonexistent/zonectl-probe"),
        ("argv=/bin/true," + ",".join("a" * 64), "more than 64 arguments"),
    ],
)
def test_what_is_wrong_about_a_program(probe_program: str, settings: str, reason: str) -> None:
    (answer,) = ask(probe_program, f"spawn 1 {settings}")
    assert answer.startswith(f"no {reason}")


@pytest.mark.parametrize(
    ("request_line", "reason"),
    [
        ("stat 1", "a folder must be told"),
        ("read 1", "a folder must be told"),
        ("create 1 folder=/nonexistent", "open /nonexistent: No such file or directory"),
        ("pread 1 folder=/nonexistent", "open /nonexistent/zonectl-probe"),
        ("tcp 1", "a server must be told"),
        ("udp 1 server=127.0.0.1", "a server is ADDRESS:PORT"),
        ("udp 1 server=127.0.0.1:0", "a server is ADDRESS:PORT"),
        ("udp 1 server=localhost:7", "a server is ADDRESS:PORT"),
        ("receive 1", "a server must be told"),
        ("receive 1 server=127.0.0.1:1", "connect: Connection refused"),
        ("connect 1 server=127.0.0.1:7x", "a server is ADDRESS:PORT"),
        ("tcp 1 server=127.0.0.1:1", "connect: Connection refused"),
        ("udp 1 server=127.0.0.1:1", "recv: Connection refused"),
    ],
)
def test_what_is_wrong_about_a_place(probe_program: str, request_line: str, reason: str) -> None:
    (answer,) = ask(probe_program, request_line)
    assert answer.startswith(f"no {reason}")


# ------------------------------------------------------------------------------------------------- the catalogue


@pytest.mark.requires(
    "program:sysbench",
    "program:fio",
    "program:iperf3",
    "program:stress-ng",
    "debian_python:sqlite3",
    "program:cc",
)
def test_all_of_the_catalogue_can_be_measured_here(probe_program: str, tmp_path: Path, server: str) -> None:
    for name in ("root", "bind"):
        (tmp_path / name).mkdir()
    place = Place(root_folder=str(tmp_path / "root"), bind_folder=str(tmp_path / "bind"), server=server)
    with subprocess.Popen([probe_program, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdin
        assert running.stdout
        runner = pipes.connect(running.stdin.fileno(), running.stdout.fileno(), place=place)
        for workload in CATALOGUE:
            assert workload.asks in runner.workloads
            assert runner.sample(workload.asks, 1, workload.settings_at(place)) > 0, workload.facts.name
        running.stdin.close()
        assert running.wait(TIMEOUT_S) == 0
    assert os.listdir(tmp_path / "root") == os.listdir(tmp_path / "bind") == []


def test_a_probe_that_is_killed_is_noticed(probe_program: str, tmp_path: Path) -> None:
    place = Place(root_folder=str(tmp_path), bind_folder=None, server=None)
    with subprocess.Popen([probe_program, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdin
        assert running.stdout
        runner = pipes.connect(running.stdin.fileno(), running.stdout.fileno(), place=place)
        running.kill()
        running.wait()
        with pytest.raises(BenchError, match="the probe has ended"):
            runner.sample("getpid", 1, {})
        assert runner.broken
