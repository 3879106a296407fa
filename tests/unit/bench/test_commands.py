"""Commands that are timed: which program, to which end, and that a failure is told."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from zonectl.bench import commands
from zonectl.errors import BenchError
from zonectl.model.instance import Instance

if TYPE_CHECKING:
    from pathlib import Path

HERE = Instance(root="/r", run="/s")
PYTHON = sys.executable


def python(code: str, *, timeout_s: float = 60.0) -> int:
    return commands.timed((PYTHON, "-IS", "-c", code), os.environ, timeout_s=timeout_s)


def executable(path: Path, content: bytes) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o755)
    return str(path)


def test_the_time_has_all_of_the_command_in_it() -> None:
    assert python("import time; time.sleep(0.2)") >= 200_000_000


def test_streams_lead_nowhere() -> None:
    python(
        "import os; assert os.read(0, 1) == b''; assert os.fstat(1).st_rdev == os.stat('/dev/null').st_rdev"
    )


def test_a_failure_is_told_by_its_last_line() -> None:
    with pytest.raises(BenchError, match=r": second$"):
        python(r"import os; os.write(2, b'first\nsecond\n  a hint\n'); os._exit(3)")
    with pytest.raises(BenchError, match=r": status 3$"):
        python("import os; os._exit(3)")
    with pytest.raises(BenchError, match=r"^/nosuch/program: No such file or directory$"):
        commands.timed(("/nosuch/program",), {})


def test_what_takes_too_long_is_killed() -> None:
    with pytest.raises(BenchError, match=r"not done within 0\.1 s$"):
        python("import time; time.sleep(1000)", timeout_s=0.1)


def test_an_interruption_lets_it_end_first(tmp_path: Path) -> None:
    """The command interrupts us once we wait for it, and goes on only then."""
    code = (
        f"import os, signal, time; time.sleep(0.3); os.kill({os.getpid()}, signal.SIGINT); time.sleep(0.2);"
        f"os.close(os.open({str(tmp_path / 'done')!r}, os.O_CREAT))"
    )
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            python(code)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (tmp_path / "done").exists()


def test_the_client_is_what_a_user_types(tmp_path: Path) -> None:
    """The one in C, if it is that of this launcher; else the launcher; else the words that were given."""
    script = executable(tmp_path / "lib/zonectl/libexec/zonectl", b"#!/usr/bin/python3 -IS\n")
    found = commands.client(HERE, words=("python3", "-IS", script))
    assert found.program == (script,)
    assert (found.environment["ZONECTL_ROOT"], found.environment["ZONECTL_RUN"]) == ("/r", "/s")

    beside = tmp_path / "lib/zonectl/bin/zonectl"
    executable(beside, b"#!/usr/bin/python3\n")  # what pip writes
    ours = executable(tmp_path / "bin/zonectl", b"\x7fELF..." + script.encode() + b"\0")
    assert commands.client(HERE, words=("python3", "-IS", script)).program == (ours,)
    executable(beside, b"\x7fELF..." + script.encode() + b"\0")
    assert commands.client(HERE, words=("python3", "-IS", script)).program == (str(beside),)

    plain = tmp_path / "plain.py"
    plain.write_text("")
    assert commands.client(HERE, words=("python3", "-IS", str(plain))).program == (
        "python3",
        "-IS",
        str(plain),
    )
