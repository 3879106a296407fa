from __future__ import annotations

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonectl.cli.bar import Bar, clock, draw


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_what_it_shows() -> None:
    assert draw("getpid", 0.5, 83.0, columns=60) == ("[" + "#" * 16 + "." * 16 + "]  50 %  getpid, 1:23 left")
    assert draw("getpid", 0.0, None, columns=200) == "[" + "." * 40 + "]   0 %  getpid"
    assert draw("getpid", 0.1, 5.0, columns=20) == "10 %  getpid, 0:05"


@given(
    done=st.floats(-1, 2),
    left=st.none() | st.floats(0, 1e6),
    columns=st.integers(1, 300),
    what=st.text(max_size=40),
)
def test_it_is_never_wider_than_the_terminal(
    done: float, left: float | None, columns: int, what: str
) -> None:
    assert len(draw(what, done, left, columns=columns)) <= columns


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00"), (59.4, "0:59"), (59.6, "1:00"), (3600, "60:00"), (-1, "0:00")]
)
def test_time_left(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown


def test_on_a_terminal_it_is_drawn_and_erased(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    bar = Bar()
    bar.show("getpid", 0.5, None)
    assert "50 %  getpid" in terminal.getvalue()
    bar.close()
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_elsewhere_nothing_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream, term in ((io.StringIO(), "xterm"), (Terminal(), "dumb")):
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setenv("TERM", term)
        bar = Bar()
        bar.show("getpid", 0.5, 1.0)
        bar.close()
        assert stream.getvalue() == ""


def test_before_the_first_time_nothing_is_erased(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    Bar().close()
    assert terminal.getvalue() == ""
