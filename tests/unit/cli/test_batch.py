"""Several zones at once: in children, at most four, each failure by itself."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from zonectl.cli import batch
from zonectl.cli.batch import Batch
from zonectl.errors import NoSuchZone, ZonectlError

if TYPE_CHECKING:
    from pathlib import Path


def test_one_zone_needs_no_child(capfd: pytest.CaptureFixture[str]) -> None:
    seen: list[tuple[str, int]] = []
    crew = Batch()
    crew.each(["web"], lambda name: seen.append((name, os.getpid())))
    assert seen == [("web", os.getpid())]
    assert crew.worst == 0
    assert capfd.readouterr().err == ""


def test_each_fails_by_itself(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def act(name: str) -> None:
        if name == "b":
            raise NoSuchZone(name)
        if name == "c":
            raise ZonectlError("broken")
        (tmp_path / name).touch()

    crew = Batch()
    crew.each(list("abcdef"), act)
    assert crew.codes == {"a": 0, "b": 4, "c": 1, "d": 0, "e": 0, "f": 0}
    assert crew.worst == 4
    assert crew.failed("abc") == ["b", "c"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "d", "e", "f"]
    assert sorted(capfd.readouterr().err.splitlines()) == ["zonectl: b: no such zone", "zonectl: c: broken"]


def test_no_more_than_four_at_once(tmp_path: Path) -> None:
    def act(name: str) -> None:
        (tmp_path / name).touch()
        assert len(list(tmp_path.iterdir())) <= batch.AT_ONCE
        time.sleep(0.05)
        (tmp_path / name).unlink()

    crew = Batch()
    crew.each([f"zone{number}" for number in range(10)], act)
    assert crew.worst == 0


def test_what_nobody_foresaw_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    def act(name: str) -> None:
        if name == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        raise KeyError(name)

    crew = Batch()
    crew.each(["broken", "killed"], act)
    assert crew.codes == {"broken": 1, "killed": 1}
    told = capfd.readouterr().err
    assert "internal error: KeyError: 'broken'" in told
    assert "zonectl: killed: the process that worked on it was killed" in told


def test_an_interruption_reaches_all(tmp_path: Path) -> None:
    parent = os.getpid()

    def act(name: str) -> None:
        try:
            if name == "a":
                os.kill(parent, signal.SIGINT)
            time.sleep(30)
        except KeyboardInterrupt:
            (tmp_path / name).touch()
            raise

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        Batch().each(["a", "b"], act)
    assert time.monotonic() - started < 10
    assert {path.name for path in tmp_path.iterdir()} <= {"a", "b"}
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
