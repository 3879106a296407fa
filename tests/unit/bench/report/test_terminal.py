"""What a terminal shows: goldens to be read, and what holds for every run and width."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.bench.report import runs
from zonectl.bench.report import csv, terminal
from zonectl.model.escape import width

GOLDEN = Path(__file__).parent / "golden"
REWRITE = bool(os.environ.get("ZONECTL_GOLDEN"))
"""With ZONECTL_GOLDEN=1 the files are written anew; read the difference before you commit it."""

COLOURS = re.compile(r"\x1b\[[0-9]{1,2}m")

SHOWN = {
    "rich.txt": lambda: terminal.table(runs.rich(), width=100),
    "rich-80-ascii.txt": lambda: terminal.table(runs.rich(), unicode=False),
    "plain.txt": lambda: terminal.table(runs.plain()),
    "small-60.txt": lambda: terminal.table(runs.small(), width=60),
    "broken-off.txt": lambda: terminal.table(runs.broken_off()),
    "hostile-60.txt": lambda: terminal.table(runs.hostile(), width=60),
    "small-colour.txt": lambda: terminal.table(runs.small(), color=True),
    "small.csv": lambda: csv.rows(runs.small()),
}


@pytest.mark.parametrize("name", SHOWN)
def test_what_is_shown_is_the_golden_file(name: str) -> None:
    made = SHOWN[name]()
    if REWRITE:
        (GOLDEN / name).write_text(made, encoding="utf-8")
    assert made == (GOLDEN / name).read_text(encoding="utf-8")


def test_every_golden_file_is_made() -> None:
    assert {file.name for file in GOLDEN.iterdir()} == set(SHOWN)


@settings(max_examples=20)
@given(
    name=st.sampled_from(sorted(runs.ALL)),
    columns=st.integers(1, 240),
    color=st.booleans(),
    unicode=st.booleans(),
)
def test_no_line_is_wider_than_the_terminal(name: str, columns: int, *, color: bool, unicode: bool) -> None:
    text = terminal.table(runs.ALL[name](), width=columns, color=color, unicode=unicode)
    for line in COLOURS.sub("", text).splitlines():
        assert width(line) <= max(columns, terminal.NARROWEST), line
        assert line == line.rstrip()
        assert line.isprintable()
        assert unicode or line.isascii()


@pytest.mark.parametrize("name", runs.ALL)
def test_colours_add_nothing_but_colours(name: str) -> None:
    run = runs.ALL[name]()
    coloured = terminal.table(run, color=True)
    assert "\x1b[" in coloured
    assert COLOURS.sub("", coloured) == terminal.table(run)


def test_what_was_not_measured_takes_no_room() -> None:
    text = terminal.table(runs.plain())
    for title in ("The ladder", "The classes", "Life cycle", "Density", "Not measured", "!"):
        assert title not in text


def test_the_floor_and_the_warnings_come_first() -> None:
    text = terminal.table(runs.rich())
    places = [text.index(part) for part in (*runs.WARNINGS[:1], "Noise floor: ", "verdict", "The ladder")]
    assert places == sorted(places)


def test_a_run_without_control_says_so() -> None:
    run = runs.without(runs.plain(), arm="control")
    text = " ".join(terminal.table(run).split())
    assert "no control was measured: the noise floor is not known" in text
    assert "Noise floor:" not in text


@pytest.mark.parametrize("arm", ["bare", "zone", "crun", "overlay", "control"])
@pytest.mark.parametrize("name", ["rich", "small"])
def test_any_arm_may_be_missing(name: str, arm: str) -> None:
    run = runs.without(runs.ALL[name](), arm=arm)
    assert terminal.table(run)
    assert csv.rows(run)


def test_a_run_of_nothing_says_so() -> None:
    nothing = runs.without(runs.small(), arm="zone")
    assert "No workload was measured both on bare metal and in the zone." in terminal.table(nothing)


def test_a_ladder_names_the_rest_and_the_whole() -> None:
    text = terminal.table(runs.rich(), width=200)
    ladder = text[text.index("The ladder") : text.index("The classes")]
    lines = [line.split("  ")[0] for line in ladder.splitlines() if line]
    assert lines[-3].startswith("the rest")
    assert lines[-2].startswith("whole zone")
    assert lines[-1].startswith("Nothing above the noise: integer, float, ")
