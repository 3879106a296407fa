"""exec: programs in a running zone."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.instance import COMMAND
from tests.patience import until
from tests.requirements import cgroup2_mount

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.instance import Zonectl

COLD = pytest.mark.parametrize("cold", [False, True], ids=["warm", "cold"])

SETTINGS = """\
user = "nobody"
workdir = "/tmp"
env = { COLOUR = "blue", SIZE = "small" }
"""


@pytest.fixture(scope="module")
def zone(shared: Zonectl) -> Iterator[Zonectl]:
    shared.define("box", more=SETTINGS)
    shared("start", "box")
    yield shared
    shared("delete", "-f", "box")


def execute(z: Zonectl, *words: str, cold: bool = False, **given: Any) -> str:
    return z(*(["--no-daemon"] if cold else []), "exec", *words, **given).out


@COLD
@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("exit 0", 0),
        ("exit 3", 3),
        ("kill -TERM $$", 143),
        ("kill -KILL $$", 137),
    ],
)
def test_exit_status(zone: Zonectl, *, cold: bool, script: str, code: int) -> None:
    execute(zone, "box", "sh", "-c", script, cold=cold, code=code)


@COLD
@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("box", "no-such-program"), 127, "no-such-program: No such file or directory"),
        (("box", ""), 127, "No such file or directory"),
        (("box", "/etc/passwd"), 126, "/etc/passwd: Permission denied"),
        (("-u", "nosuchuser", "box", "true"), 125, "nosuchuser"),
        (("-w", "/no/such/folder", "box", "true"), 125, "/no/such/folder"),
        (("-w", "relative", "box", "true"), 125, "relative"),
        (("nosuchzone", "true"), 125, "zonectl: nosuchzone: no such zone"),
        (("box",), 125, "CMD is missing"),
        (("../box", "true"), 125, "not a zone name"),
    ],
)
def test_failures(zone: Zonectl, *, cold: bool, words: tuple[str, ...], code: int, told: str) -> None:
    done = zone(*(["--no-daemon"] if cold else []), "exec", *words, code=code)
    assert done.out == ""
    assert told in done.err
    assert len(done.err.splitlines()) <= 2, done.err


@COLD
def test_an_error_that_nobody_can_be_told_changes_no_status(zone: Zonectl, *, cold: bool) -> None:
    words = [*(["--no-daemon"] if cold else []), "exec", "box", "no-such-program"]
    reading, writing = os.pipe()
    os.close(reading)
    with zone.popen(*words, stderr=writing) as client:
        os.close(writing)
        assert client.wait(30) == 127


@COLD
@pytest.mark.parametrize(
    ("words", "code"),
    [(("exec", "box", "cat"), 125), (("list",), 2), (("--debug", "exec", "box", "cat"), 125)],
)
def test_a_folder_is_no_standard_input(
    zone: Zonectl, tmp_path: Path, words: tuple[str, ...], code: int, *, cold: bool
) -> None:
    folder = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        done = zone(*(["--no-daemon"] if cold else []), *words, code=code, stdin=folder)
    finally:
        os.close(folder)
    assert done.err.startswith("zonectl: standard input is a directory\n")


@COLD
def test_a_caller_that_ignores_the_ends_of_its_children(zone: Zonectl, *, cold: bool) -> None:
    words = [COMMAND, *(["--no-daemon"] if cold else []), "exec", "box", "--", "sh", "-c", "exit 3"]
    ignoring = ["sh", "-c", 'trap "" CHLD; exec "$@"', "sh", *words]  # ignored over an execve, too
    for _ in range(5):
        done = subprocess.run(ignoring, env=zone.environment, stdin=subprocess.DEVNULL, check=False)
        assert done.returncode == 3


@COLD
def test_user_folder_and_variables(zone: Zonectl, *, cold: bool) -> None:
    script = "id -u; id -g; pwd; echo $COLOUR $SIZE $HOME"
    seen = execute(zone, "box", "sh", "-c", script, cold=cold).splitlines()
    assert seen == ["65534", "65534", "/tmp", "blue small /nonexistent"]
    words = ["-u", "root", "-w", "/etc", "-e", "SIZE=large", "-e", "MORE=x y", "box"]
    seen = execute(zone, *words, "sh", "-c", f"{script}; echo $MORE", cold=cold).splitlines()
    assert seen == ["0", "0", "/etc", "blue large /root", "x y"]
    seen = execute(zone, "-u", "1234:77", "box", "sh", "-c", "id -u; id -g; id -G", cold=cold).splitlines()
    assert seen == ["1234", "77", "77"]


@COLD
def test_it_sees_what_the_zone_sees(zone: Zonectl, *, cold: bool) -> None:
    init = zone.list()["box"]["pid"]
    for kind in ("cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"):
        inside = execute(zone, "-u", "root", "box", "readlink", f"/proc/self/ns/{kind}", cold=cold).strip()
        assert inside == os.readlink(f"/proc/{init}/ns/{kind}"), kind
        assert inside != os.readlink(f"/proc/self/ns/{kind}"), kind


@COLD
def test_it_is_in_the_group_of_init(zone: Zonectl, *, cold: bool) -> None:
    words = [*(["--no-daemon"] if cold else []), "exec", "box", "--", "sh", "-c", "echo up; cat"]
    with zone.popen(*words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:
        assert client.stdout is not None
        assert client.stdin is not None
        assert client.stdout.readline() == b"up\n"
        shown = zone.show("box")
        members = (Path(shown["cgroup"]) / "payload" / "cgroup.procs").read_text().split()
        assert str(shown["pid"]) in members
        commands = command_lines(members)
        assert b"cat\0" in commands or any(b"echo up" in words for words in commands)
        client.stdin.close()
        assert client.wait(20) == 0
    assert cgroup2_mount() in Path(shown["cgroup"]).parents


def command_lines(pids: list[str]) -> list[bytes]:
    """Those of the processes that have not ended meanwhile."""
    found = []
    for pid in pids:
        with suppress(OSError):
            found.append(Path(f"/proc/{pid}/cmdline").read_bytes())
    return found


@COLD
def test_nothing_of_the_host_is_inside(zone: Zonectl, *, cold: bool, tmp_path: Path) -> None:
    secret = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    os.set_inheritable(secret, True)
    environment = {**zone.environment, "SECRET": "of the caller"}
    seen = execute(
        zone, "box", "sh", "-c", "ls -l /proc/self/fd; env; ls -l /proc/self/cwd /proc/self/exe",
        cold=cold, env=environment, cwd=tmp_path, pass_fds=(secret,),
    )  # fmt: skip
    os.close(secret)
    assert "SECRET" not in seen
    assert str(tmp_path) not in seen
    descriptors = [line.split()[8] for line in seen.splitlines() if " -> " in line]
    assert [fd for fd in descriptors if fd.isdecimal()] == ["0", "1", "2"]
    assert "/proc/self/cwd -> /tmp\n" in seen
    assert "0 -> /dev/null\n" in seen


def test_restrictions_are_those_of_init(zone: Zonectl) -> None:
    """Capabilities, no_new_privs, seccomp, groups, umask: an exec is never weaker than init (rkt, CVE-2019-10144)."""
    wanted = ("Uid:", "Gid:", "Groups:", "CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:",
              "NoNewPrivs:", "Seccomp:", "Umask:", "SigBlk:")  # fmt: skip

    def restrictions(status: str) -> list[str]:
        return [line for line in status.splitlines() if line.startswith(wanted)]

    assert restrictions(zone.exec("box", "cat", "/proc/self/status").out) == restrictions(
        zone.exec("box", "cat", "/proc/1/status").out
    )
    ignored = zone.exec("box", "grep", "SigIgn", "/proc/self/status").out.split()[1]
    # 32 and 33 are the C library's own.
    assert int(ignored, 16) & ~(3 << 31) == 0
    limits = zone.exec("box", "cat", "/proc/self/limits").out
    assert limits == zone.exec("box", "cat", "/proc/1/limits").out


def test_pipes_go_through(zone: Zonectl) -> None:
    assert zone.exec("box", "tr", "a-z", "A-Z", input=b"hello").out == "HELLO"
    data = os.urandom(3_000_000)
    assert zone.exec("box", "cat", input=data).stdout == data


@pytest.mark.fault("the client of an exec is killed", "its program ends too")
def test_when_the_client_is_killed_so_is_the_program(zone: Zonectl) -> None:
    with zone.popen(
        "exec", "box", "--", "sh", "-c", "echo up; exec sleep 777", stdout=subprocess.PIPE
    ) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"up\n"
        client.kill()
    until(lambda: not zone.runs("box", "sleep 777"))
    assert zone.state("box") == "running"


def test_signals_reach_the_program(zone: Zonectl) -> None:
    with zone.popen(
        "exec", "box", "--", "sh", "-c", "trap 'exit 41' TERM; echo up; while :; do sleep 0.1; done",
        stdout=subprocess.PIPE,
    ) as client:  # fmt: skip
        assert client.stdout is not None
        assert client.stdout.readline() == b"up\n"
        client.send_signal(signal.SIGTERM)
        assert client.wait(20) == 41


@pytest.mark.fault("the zone ends below an open exec", "the exec ends")
def test_the_end_of_the_zone_is_the_end_of_what_runs_in_it(z: Zonectl) -> None:
    z.define("short")
    z("start", "short")
    with z.popen("exec", "short", "--", "sh", "-c", "echo up; sleep 1000", stdout=subprocess.PIPE) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"up\n"
        z("stop", "short")
        assert client.wait(20) == 128 + signal.SIGKILL


@COLD
def test_a_zone_that_does_not_run_is_named_with_the_verb_that_helps(z: Zonectl, *, cold: bool) -> None:
    z.create("hello")
    words = [*(["--no-daemon"] if cold else []), "exec", "hello", "true"]
    done = z(*words, code=125)
    assert done.err == "zonectl: hello: cannot exec: the zone is installed\n  try: zonectl start hello\n"
    z("start", "hello")
    z("pause", "hello")
    done = z(*words, code=125)
    assert done.err == "zonectl: hello: cannot exec: the zone is paused\n  try: zonectl resume hello\n"
    z("stop", "hello")
    z("ready", "hello")
    done = z(*words, code=125)
    assert done.err == "zonectl: hello: cannot exec: the zone is ready\n  try: zonectl start hello\n"


def test_shell_is_a_login_shell(zone: Zonectl) -> None:
    assert zone("shell", "box", input=b"id -u; pwd; echo $0; exit 8\n", code=8).lines[0] == "0"


FREEZE = (
    "mkdir /sys/fs/cgroup/x; "
    "sh -c 'echo 1 >/sys/fs/cgroup/x/cgroup.procs; echo 1 >/sys/fs/cgroup/x/cgroup.freeze'"
)
"""Moves init into a group of its own making, and freezes that from a process outside of it."""


@pytest.fixture
def frozen(z: Zonectl) -> str:
    """A zone that freezes whoever comes in."""
    z.define("frozen", FREEZE)
    z("start", "frozen")
    mount = cgroup2_mount()
    assert mount is not None
    events = Path(mount, f"zonectl-{z.mark}", z.show("frozen")["id"], "payload/x/cgroup.events")
    until(lambda: events.exists() and "frozen 1" in events.read_text())
    return "frozen"


@pytest.mark.parametrize(
    ("cold", "number", "code"),
    [
        (False, signal.SIGINT, 130),
        (False, signal.SIGTERM, 143),
        (True, signal.SIGINT, 130),
        (True, signal.SIGTERM, 130),
    ],
)
def test_an_interruption_ends_an_exec_that_the_zone_holds_up(
    z: Zonectl, frozen: str, number: signal.Signals, code: int, *, cold: bool
) -> None:
    options = ["--no-daemon"] if cold else []
    with z.popen(*options, "exec", frozen, "true", stderr=subprocess.PIPE) as client:
        with pytest.raises(subprocess.TimeoutExpired):
            client.wait(1)
        client.send_signal(number)
        _, said = client.communicate(timeout=20)
    assert (client.returncode, said) == (code, b"")


@pytest.mark.fault(
    "the client of an exec that the zone holds up is killed", "its worker ends, and what it made"
)
def test_an_exec_that_the_zone_holds_up_ends_with_its_client(z: Zonectl, frozen: str) -> None:
    zoned, before = z.zoned(), int(z.show(frozen)["pid"])
    group = Path(f"/proc/{before}/cgroup").read_text().rpartition("::")[2].strip()
    procs = Path(f"{cgroup2_mount()}{group}/cgroup.procs")
    with z.popen("exec", frozen, "true") as client:
        until(lambda: len(procs.read_text().split()) == 2)  # init, and who comes in
        client.kill()
    until(lambda: procs.read_text().split() == [str(before)])
    assert z.zoned() == zoned
