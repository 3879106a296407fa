"""Programs that zonectl runs: bounded, and never left behind."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from zonectl.errors import CommandError
from zonectl.kernel import command, proc

if TYPE_CHECKING:
    from pathlib import Path


def _dies(pid: int) -> bool:
    """Whether the process is dead within ten seconds: a signal sent is not yet a process ended."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if proc.process_state(pid) in (None, "Z", "X"):
            return True
        time.sleep(0.005)
    return False


def _sh(script: str, *, timeout_s: float = 20, stdin: bytes = b"") -> command.CompletedCommand:
    return command.run(["sh", "-c", script], timeout_s=timeout_s, stdin=stdin)


def test_output_and_errors(open_fds: object) -> None:
    assert _sh("cat; echo problem >&2", stdin=b"in\0put") == command.CompletedCommand(
        b"in\0put", b"problem\n"
    )


def test_more_than_a_pipe_both_ways(open_fds: object) -> None:
    text = os.urandom(1 << 20)
    assert _sh("tee /dev/stderr", stdin=text) == command.CompletedCommand(text, text)


def test_input_that_nobody_reads(open_fds: object) -> None:
    assert _sh("exec <&-; echo done", stdin=b"x" * (1 << 20)).stdout == b"done\n"


def test_environment_and_folder(tmp_path: Path) -> None:
    done = command.run(
        ["sh", "-c", "pwd; env"], timeout_s=20, env={"PATH": "/bin", "A": "b"}, cwd=str(tmp_path)
    )
    folder, *variables = done.stdout.decode().splitlines()
    assert folder == str(tmp_path)
    assert "A=b" in variables
    assert not any(variable.startswith("HOME=") for variable in variables)


def test_a_status_other_than_0(open_fds: object) -> None:
    with pytest.raises(CommandError) as caught:
        _sh("echo first >&2; echo the reason >&2; exit 3")
    assert (caught.value.status, caught.value.message) == (3, "sh: the reason")
    assert caught.value.stderr == "first\nthe reason\n"


def test_a_signal() -> None:
    with pytest.raises(CommandError) as caught:
        _sh("kill -TERM $$")
    assert caught.value.status == -15


def test_a_program_that_is_missing(open_fds: object) -> None:
    with pytest.raises(CommandError) as caught:
        command.run(["no-such-program"], timeout_s=1, hint="apt-get install it")
    assert (caught.value.status, caught.value.hint) == (command.NOT_FOUND, "apt-get install it")


def test_a_program_that_cannot_be_executed(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("x")
    with pytest.raises(CommandError) as caught:
        command.run([str(tmp_path / "plain")], timeout_s=1)
    assert caught.value.status == command.CANNOT_EXECUTE


@pytest.mark.fault(
    "a helper hangs, with a child in a session of its own",
    "it is stopped in time, and all of its tree is killed",
)
def test_the_whole_tree_is_killed_when_time_is_over(tmp_path: Path, open_fds: object) -> None:
    script = f"cd {tmp_path}; setsid sh -c 'echo $$ >one; sleep 100' & sleep 100; wait"
    start = time.monotonic()
    with pytest.raises(CommandError) as caught:
        _sh(script, timeout_s=3.0)
    assert time.monotonic() - start < 20
    assert (caught.value.status, caught.value.message) == (-9, "sh: stopped: not done in 3 s")
    assert _dies(int((tmp_path / "one").read_text()))


def test_a_child_left_behind_is_killed(tmp_path: Path, open_fds: object) -> None:
    """One that holds the output open does not keep us, and does not live on."""
    start = time.monotonic()
    assert _sh(f"sleep 100 & echo $! >{tmp_path}/pid; echo out").stdout == b"out\n"
    assert time.monotonic() - start < 15
    assert _dies(int((tmp_path / "pid").read_text()))


@pytest.mark.fault("a helper writes without end", "it is stopped at the bound, and said")
def test_too_much_output(open_fds: object) -> None:
    with pytest.raises(CommandError, match="over 100000 bytes of output"):
        command.run(["cat", "/dev/zero"], timeout_s=20, max_output_bytes=100_000)
