"""tools/stage: a stage's line, its limit, and above all its status."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

STAGE = Path(__file__).parents[2] / "tools" / "stage"


def run(limit_s: str, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([STAGE, limit_s, "sums", *command], capture_output=True, text=True, check=False)


def test_a_stage_that_passes_says_so() -> None:
    done = run("5", "echo", "two words")
    assert done.returncode == 0
    first, output, last = done.stdout.splitlines()
    assert first.startswith("==> ")
    assert first.endswith(" sums")
    assert output == "two words"
    assert "sums: passed" in last


@pytest.mark.parametrize(("command", "status"), [(["sh", "-c", "exit 5"], 5), (["/no/such"], 127)])
def test_the_status_is_the_commands(command: list[str], status: int) -> None:
    done = run("5", *command)
    assert done.returncode == status
    assert f"FAILED with status {status}" in done.stderr


def test_a_stage_that_hangs_is_stopped() -> None:
    done = run("0.1", "sleep", "60")
    assert done.returncode == 124
    assert "FAILED, stopped after" in done.stderr
