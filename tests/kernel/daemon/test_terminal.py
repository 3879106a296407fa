from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.patience import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kernel.daemon.rig import Rig, Terminal


@pytest.fixture(params=["python", "c"])
def form(request: pytest.FixtureRequest) -> str:
    """The client in both forms."""
    return str(request.param)


class Terminals:
    def __init__(self, rig: Rig, options: list[str]) -> None:
        self._rig = rig
        self._options = options
        self._opened: list[Terminal] = []

    def open(self, *words: str) -> Terminal:
        terminal = self._rig.terminal(*self._options, *words)
        self._opened.append(terminal)
        return terminal

    def close(self) -> None:
        for terminal in self._opened:
            terminal.close()


@pytest.fixture(params=["warm", "cold"])
def terminals(rig: Rig, request: pytest.FixtureRequest) -> Iterator[Terminals]:
    terminals = Terminals(rig, ["--no-daemon"] if request.param == "cold" else [])
    if request.param == "warm":
        assert rig.run("exec", "true").returncode == 0
    yield terminals
    terminals.close()


def test_a_program_at_a_terminal(terminals: Terminals) -> None:
    terminal = terminals.open(
        "exec", "-t", "sh", "-c", "test -t 0 && test -t 2 && stty size && read x && echo [$x]"
    )
    terminal.resize(33, 99)
    terminal.expect(b"\r\n")
    assert terminal.is_raw()
    terminal.type(b"words\r")
    terminal.expect(b"[words]\r\n")
    assert terminal.wait() == 0
    assert not terminal.is_raw()


def test_the_window_has_the_callers_size(terminals: Terminals) -> None:
    script = "trap 'stty size' WINCH; echo ready; while :; do sleep 0.02; done"
    terminal = terminals.open("exec", "-t", "sh", "-c", script)
    terminal.expect(b"ready")
    terminal.resize(41, 123)
    terminal.expect(b"41 123")


def test_ctrl_c_goes_to_the_program(terminals: Terminals) -> None:
    terminal = terminals.open(
        "exec", "-t", "sh", "-c", "trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.02; done"
    )
    terminal.expect(b"ready")
    terminal.type(b"\x03")
    terminal.expect(b"caught")
    assert terminal.wait() == 9
    assert not terminal.is_raw()


def test_ctrl_z_goes_to_the_program(terminals: Terminals, tmp_path: Path) -> None:
    terminal = terminals.open(
        "exec",
        "-t",
        "sh",
        "-ic",
        f"sh -c 'echo ready; exec sleep 100'; echo $? >{tmp_path}/status; echo went on",
    )
    # The shell gives the terminal to a program before that runs.
    terminal.expect(b"ready")
    until(terminal.is_raw)
    terminal.type(b"\x1a")
    terminal.expect(b"went on")
    assert terminal.wait() == 0
    # 128 + SIGTSTP: it was the program that stopped, not its caller.
    assert (tmp_path / "status").read_text() == "148\n"


def test_the_escape_kills(terminals: Terminals) -> None:
    terminal = terminals.open("exec", "-t", "sh", "-c", "trap '' INT TERM HUP; echo ready; cat; sleep 20")
    terminal.expect(b"ready")
    terminal.type(b"not ~. here\r~~ nor here\r")
    terminal.expect(b"\r\n~ nor here")
    terminal.type(b"~.")
    assert terminal.wait() == 128 + signal.SIGKILL
    assert not terminal.is_raw()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_the_terminal_is_restored_when_the_command_is_told_to_end(terminals: Terminals, signum: int) -> None:
    terminal = terminals.open("exec", "-t", "sh", "-c", "echo ready; exec sleep 20")
    terminal.expect(b"ready")
    until(terminal.is_raw)
    os.kill(terminal.pid, signum)
    assert terminal.wait() in {128 + signum, 128 + signal.SIGKILL}
    assert not terminal.is_raw()


def test_stopped_by_another_it_restores_the_terminal_and_goes_on_raw(terminals: Terminals) -> None:
    terminal = terminals.open("exec", "-t", "sh", "-c", "echo ready; read x; echo [$x]")
    terminal.expect(b"ready")
    until(terminal.is_raw)
    os.kill(terminal.pid, signal.SIGTSTP)
    until(lambda: not terminal.is_raw())
    until(lambda: Path(f"/proc/{terminal.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
    os.kill(terminal.pid, signal.SIGCONT)
    until(terminal.is_raw)
    terminal.type(b"on\r")
    terminal.expect(b"[on]")
    assert terminal.wait() == 0


def test_ten_megabytes_through_a_terminal(terminals: Terminals) -> None:
    terminal = terminals.open(
        "exec", "-t", "sh", "-c", "stty raw -echo; head -c 10000000 /dev/zero | tr '\\0' x; echo end"
    )
    assert len(terminal.expect(b"end", timeout_s=60)) == 10_000_000
    assert terminal.wait() == 0


def test_a_lot_can_be_pasted(terminals: Terminals) -> None:
    terminal = terminals.open(
        "exec", "-t", "sh", "-c", "stty raw -echo; echo ready; head -c 200000 | wc -c; echo end"
    )
    terminal.expect(b"ready")
    os.set_blocking(terminal.master, True)
    for _ in range(200):
        terminal.type(b"y" * 1000)
    assert b"200000" in terminal.expect(b"end", timeout_s=60)


def test_without_a_pty_a_terminal_is_copied(terminals: Terminals) -> None:
    terminal = terminals.open(
        "exec", "sh", "-c", "test -t 0 || test -t 1 || test -t 2 || cat; echo done >&2; exit 3"
    )
    time.sleep(0.5)
    terminal.type(b"a line\n")
    terminal.expect(b"a line\r\na line\r\n")
    terminal.type(b"\x04")
    terminal.expect(b"done")
    assert terminal.wait() == 3


def test_without_a_pty_the_last_word_is_not_lost(terminals: Terminals) -> None:
    terminal = terminals.open("exec", "sh", "-c", "head -c 60000 /dev/zero | tr '\\0' x; printf end")
    assert len(terminal.expect(b"end", timeout_s=30)) == 60_000
    assert terminal.wait() == 0


def test_without_a_pty_ctrl_c_is_relayed(terminals: Terminals) -> None:
    terminal = terminals.open("exec", "sh", "-c", "echo ready; exec sleep 20")
    terminal.expect(b"ready")
    terminal.type(b"\x03")
    assert terminal.wait() == 130


def test_a_user_is_asked(terminals: Terminals) -> None:
    terminal = terminals.open("create")
    terminal.expect(b"sure? ")
    terminal.type(b"yes\n")
    terminal.expect(b"asked yes True")
    assert terminal.wait() == 0


def test_a_terminal_that_hangs_up_takes_the_program_along(rig: Rig, tmp_path: Path) -> None:
    assert rig.run("exec", "true").returncode == 0
    pid_file = tmp_path / "pid"
    terminal = rig.terminal(
        "exec", "-t", "sh", "-c", f"trap '' HUP; echo $$ >{pid_file}; echo ready; sleep 100"
    )
    terminal.expect(b"ready")
    os.close(terminal.master)
    until(lambda: not Path(f"/proc/{int(pid_file.read_text())}").exists())
    os.waitpid(terminal.pid, 0)


def test_a_terminal_is_written_to_and_never_read(rig: Rig) -> None:
    assert rig.run("exec", "true").returncode == 0
    terminal = rig.terminal("show")
    shown = terminal.rest().decode()
    assert '"isatty": [false, true, true]' in shown
    assert terminal.wait() == 0
    terminal.close()


def test_a_pipe_beside_a_terminal_crosses_as_it_is(rig: Rig) -> None:
    assert rig.run("exec", "true").returncode == 0
    command = f"echo piped | {rig.launcher} exec sh -c 'readlink /proc/self/fd/0; cat'"
    done = subprocess.run(
        ["script", "-qec", command, "/dev/null"],
        env=rig.environment,
        check=False,
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )
    assert b"pipe:" in done.stdout
    assert b"piped" in done.stdout


@pytest.mark.parametrize("options", [[], ["--no-daemon"]], ids=["warm", "cold"])
@pytest.mark.parametrize(
    "given",
    [b"", b"a line\n", b"no end of a line", b"a line\n" * 10_000],
    ids=["none", "line", "part", "many"],
)
def test_the_end_of_an_input_that_is_no_terminal_reaches_the_program(
    rig: Rig, tmp_path: Path, options: list[str], given: bytes
) -> None:
    got = tmp_path / "got"
    done = rig.run(*options, "exec", "-t", "sh", "-c", f"cat > {got}; echo over", input=given, stdin=None)
    assert done.returncode == 0
    assert done.stdout.endswith(b"over\r\n")
    assert got.read_bytes() == given
