"""A command line run in this process, with state of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from zonectl import cli

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command did as far as its caller can see."""

    status: int
    out: str
    err: str


@pytest.fixture
def run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Outcome]:
    """Run the words of a command line."""
    monkeypatch.setenv("ZONECTL_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("ZONECTL_RUN", str(tmp_path / "run"))
    monkeypatch.setenv("COLUMNS", "80")

    def command(*argv: str) -> Outcome:
        status = cli.main(argv)
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return command
