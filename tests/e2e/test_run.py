"""run: programs in zones that are gone afterwards; cold and warm alike, except where only one of both is meant."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.e2e.instance import COMMAND, REPOSITORY
from tests.patience import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.instance import Zonectl

BOTH = pytest.mark.parametrize("options", [(), ("--no-daemon",)], ids=["warm", "cold"])

TEN_MB = random.Random(1).randbytes(10_000_000)


def program(z: Zonectl, *command: str) -> list[str]:
    return ["run", *z.sets, "busybox", "--", *command]


@BOTH
@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("true",), 0),
        (("sh", "-c", "exit 3"), 3),
        (("sh", "-c", "exit 255"), 255),
        (("no-such-program",), 127),
        (("/no/such/program",), 127),
        (("/etc/passwd",), 126),
        (("/etc",), 126),
        (("sh", "-c", "kill -9 $$"), 0),  # process 1 gets no signal from its own zone that it does not handle
        (("sh", "-c", "sh -c 'kill -TERM $$' 2>/dev/null; exit $?"), 143),
    ],
)
def test_exit_status(shared: Zonectl, options: tuple[str, ...], command: tuple[str, ...], code: int) -> None:
    done = shared(*options, *program(shared, *command), code=code)
    assert (done.err == "") == (code not in {126, 127})


@BOTH
@pytest.mark.parametrize(
    "words",
    [
        ("no-such-image",),
        ("/no/such/file.toml",),
        ("--set", "resources.memory=much", "busybox"),
        ("--no-such-option", "busybox"),
        (),
        ("-v", "relative", "busybox"),
        ("-v", "/no/such/folder:/x", "busybox"),
        ("-e", "=x", "busybox"),
        ("--set", 'user="nosuchuser"', "busybox"),
        ("--set", 'workdir="/no/such/folder"', "busybox"),
    ],
)
def test_failures_of_zonectl_itself_are_125(
    shared: Zonectl, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    done = shared(*options, "run", *words[:-1], *shared.sets, *words[-1:], code=125)
    assert done.out == ""
    assert 1 <= len(done.err.splitlines()) <= 2, done.err


@BOTH
def test_a_signal_that_ends_the_program_is_told(shared: Zonectl, options: tuple[str, ...]) -> None:
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        words = [
            *options,
            *program(shared, "sh", "-c", f"trap 'exit 40' {signum:d}; echo up; sleep 60 & wait $!"),
        ]
        with shared.popen(*words, stdout=subprocess.PIPE) as client:
            assert client.stdout is not None
            assert client.stdout.readline() == b"up\n"
            client.send_signal(signum)
            assert client.wait(20) == 40


@BOTH
def test_with_an_init_the_default_action_ends_the_program(shared: Zonectl, options: tuple[str, ...]) -> None:
    words = ["run", *shared.sets, "--set", "init=true", "busybox", "--", "sh", "-c", "echo up; exec sleep 60"]
    with shared.popen(*options, *words, stdout=subprocess.PIPE) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"up\n"
        client.send_signal(signal.SIGTERM)
        assert client.wait(20) == 128 + signal.SIGTERM


@BOTH
def test_ten_megabytes_through_a_zone(shared: Zonectl, options: tuple[str, ...]) -> None:
    done = shared(*options, *program(shared, "cat"), input=TEN_MB)
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(TEN_MB).digest()


@BOTH
def test_output_and_errors_go_where_they_belong(
    shared: Zonectl, options: tuple[str, ...], tmp_path: Path
) -> None:
    with (tmp_path / "out").open("wb") as out, (tmp_path / "err").open("wb") as err:
        shared(*options, *program(shared, "sh", "-c", "echo good; echo bad >&2"), stdout=out, stderr=err)
    assert (tmp_path / "out").read_text() == "good\n"
    assert (tmp_path / "err").read_text() == "bad\n"


@BOTH
def test_null_and_closed_streams(shared: Zonectl, options: tuple[str, ...], tmp_path: Path) -> None:
    """The zone gets its own /dev/null for them, and nothing of the host's."""
    assert shared(*options, *program(shared, "wc", "-c")).out == "0\n"
    words = " ".join([COMMAND, *options, *program(shared, "wc", "-c")])
    done = subprocess.run(
        ["sh", "-c", f"{words} <&- 2>&1"],
        env=shared.environment,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, b"0\n")
    words = " ".join([COMMAND, *options, *program(shared, "true")])
    done = subprocess.run(
        ["sh", "-c", f"{words} <&- >&- 2>&-"], env=shared.environment, check=False, timeout=60
    )
    assert done.returncode == 0


@BOTH
@pytest.mark.fault("the reader of a run's output goes away", "the program ends of it")
def test_a_reader_that_has_gone_ends_the_program(shared: Zonectl, options: tuple[str, ...]) -> None:
    with shared.popen(*options, *program(shared, "yes"), stdout=subprocess.PIPE) as client:
        assert client.stdout is not None
        client.stdout.read(10)
        client.stdout.close()
        # `yes` is process 1, which SIGPIPE does not end; its write fails, and it says so.
        assert client.wait(20) != 0


@BOTH
def test_a_device_is_refused_as_a_stream(shared: Zonectl, options: tuple[str, ...]) -> None:
    hint = "  give a file, a pipe or /dev/null\n"
    with open("/dev/zero", "rb") as zero:
        done = shared(*options, *program(shared, "cat"), stdin=zero, code=125)
    assert done.err == f"zonectl: standard input is a device\n{hint}"


@BOTH
def test_variables_mounts_and_changes(shared: Zonectl, options: tuple[str, ...], tmp_path: Path) -> None:
    folder = tmp_path / "given"
    folder.mkdir()
    (folder / "file").write_text("from the host\n")
    script = 'echo "$A $B $HOSTNAME_"; cat /given/file; echo x >/given/new; echo $?; hostname; pwd'
    words = ["run", *shared.sets, "-e", "A=1", "-e", "B=two words", "-v", f"{folder}:/given:ro"]
    done = shared(
        *options,
        *words,
        "--set",
        "hostname=there",
        "--set",
        "workdir=/tmp",
        "busybox",
        "--",
        "sh",
        "-c",
        script,
    )
    assert done.lines == ["1 two words ", "from the host", "1", "there", "/tmp"]
    assert sorted(path.name for path in folder.iterdir()) == ["file"]
    shared(*options, "run", *shared.sets, "-v", f"{folder}:/given", "busybox", "--", "touch", "/given/new")
    assert (folder / "new").stat().st_uid == 0


@BOTH
def test_nothing_of_the_caller_goes_along(shared: Zonectl, options: tuple[str, ...], tmp_path: Path) -> None:
    secret = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    os.set_inheritable(secret, True)
    environment = {**shared.environment, "SECRET": "of the caller"}
    script = "ls -l /proc/self/fd; env; pwd; cat /proc/self/cgroup; ulimit -c; umask"
    done = shared(
        *options, *program(shared, "sh", "-c", script), env=environment, cwd=tmp_path, pass_fds=(secret,)
    )
    os.close(secret)
    assert "SECRET" not in done.out
    assert str(tmp_path) not in done.out
    assert "0::/\n" in done.out
    numbers = [line.split()[8] for line in done.lines if " -> " in line]
    assert numbers == ["0", "1", "2"]


@BOTH
def test_many_runs_of_one_file_at_once(shared: Zonectl, options: tuple[str, ...]) -> None:
    path = shared.file("hello")
    words = [
        *options,
        "run",
        path,
        "--",
        "sh",
        "-c",
        "ip -o -4 addr show eth0 | tr -s ' '; hostname; sleep 0.3",
    ]
    clients = [shared.popen(*words, stdout=subprocess.PIPE) for _ in range(4)]
    outputs = [client.communicate(timeout=60)[0].decode().splitlines() for client in clients]
    assert [client.returncode for client in clients] == [0] * 4
    assert {lines[1] for lines in outputs} == {"hello"}
    assert len({lines[0].split()[3] for lines in outputs}) == 4, "each has an address of its own"


@BOTH
def test_a_zone_of_a_run_is_listed_while_it_runs(shared: Zonectl, options: tuple[str, ...]) -> None:
    words = [*options, "run", "--name", "guest", *shared.sets, "busybox", "--", "sh", "-c", "echo up; cat"]
    with shared.popen(*words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:
        assert client.stdout is not None
        assert client.stdin is not None
        assert client.stdout.readline() == b"up\n"
        ((name, zone),) = shared.list().items()
        assert name.startswith("guest-")
        assert zone["state"] == "running"
        assert shared.exec(name, "hostname").out == "guest\n"
        client.stdin.close()
        assert client.wait(20) == 0
    assert shared.list() == {}


@pytest.mark.parametrize("cold", [False, True], ids=["warm", "cold"])
@pytest.mark.fault("the client of a run is killed", "its zone ends; nothing is left")
def test_when_the_client_is_killed_the_run_ends_and_nothing_is_left(z: Zonectl, *, cold: bool) -> None:
    words = [*(["--no-daemon"] if cold else []), *program(z, "sh", "-c", "echo up; sleep 1000")]
    with z.popen(*words, stdout=subprocess.PIPE) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"up\n"
        (zone,) = z.list().values()
        client.kill()
        client.wait()
    until(lambda: not os.path.exists(f"/proc/{zone['pid']}"))
    if cold:
        z("image", "list")  # the next zoned recovers what is left
    until(lambda: z.list() == {})
    z.end_zoned()
    z.host.check()


@pytest.mark.fault(
    "the worker of a run is killed",
    "the client says so and exits with 125; the zone ends and is cleared away",
)
def test_a_dead_worker_does_not_leave_the_client_waiting(z: Zonectl) -> None:
    """Kill -9 of the worker: the zone goes with it, and the client says so."""
    with z.popen(
        *program(z, "sh", "-c", "echo up; sleep 1000"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as client:
        assert client.stdout is not None
        assert client.stderr is not None
        assert client.stdout.readline() == b"up\n"
        (zone,) = z.list().values()
        with open(f"/proc/{zone['pid']}/stat", encoding="utf-8") as stat:
            worker = int(stat.read().rpartition(")")[2].split()[1])
        assert worker not in {z.zoned(), os.getpid(), 1}
        os.kill(worker, signal.SIGKILL)
        assert client.wait(20) == 125
        assert client.stderr.read() == b"zonectl: zoned's worker was killed\n"
    until(lambda: not os.path.exists(f"/proc/{zone['pid']}"))
    z.end_zoned()
    z("image", "list")
    until(lambda: z.list() == {})


def test_what_an_image_runs_by_itself(shared: Zonectl) -> None:
    """Without a command it is the zone file's, a shell by default: which reads what it is given."""
    assert (
        shared("run", *shared.sets, "busybox", input=b"echo from $0; exit 9\n", code=9).out
        == "from /bin/sh\n"
    )


def test_the_client_needs_no_more_than_its_own_modules() -> None:
    """What it imports decides how long every command takes: a warm client does without re, json and subprocess."""
    script = f"import sys; sys.path.append({str(REPOSITORY)!r}); import zonectl.client"
    words = [sys.executable, "-X", "importtime", "-IS", "-c", script]
    lines = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stderr.splitlines()
    imported = {line.rpartition("|")[2].strip() for line in lines}
    assert "zonectl.client" in imported
    assert not imported & {
        "os",
        "re",
        "json",
        "signal",
        "socket",
        "argparse",
        "typing",
        "subprocess",
        "dataclasses",
    }


def test_a_name_that_cannot_be_mounted_on_costs_no_stream(z: Zonectl) -> None:
    """The root has a loop of links where a file of the zone's own would go: it is passed over."""
    root = z.folder / "looped"
    (root / "etc").mkdir(parents=True)
    (root / "bin").mkdir()
    subprocess.run(["cp", "/bin/busybox", str(root / "bin/busybox")], check=True)
    (root / "bin/cat").symlink_to("busybox")
    (root / "etc/hostname").symlink_to("hostname")
    path = z.write("looped", f'name = "looped"\ncommand = ["/bin/cat"]\nroot = {{ path = "{root}" }}\n')
    assert z("run", path, input=b"said").out == "said"
