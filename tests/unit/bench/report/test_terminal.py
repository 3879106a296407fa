"""What a terminal shows: goldens to be read, and what holds for every run and width."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.bench.report import runs
from zonectl.bench.report import comparison, csv, terminal
from zonectl.bench.report.findings import derive
from zonectl.bench.report.grid import NARROWEST
from zonectl.bench.statistics import Verdict
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
    "compared.txt": lambda: comparison.table(runs.earlier(), runs.later()),
    "compared-same-host.txt": lambda: comparison.table(runs.plain(), runs.earlier()),
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


@settings(max_examples=15)
@given(
    name=st.sampled_from(sorted(runs.ALL)),
    columns=st.integers(1, 240),
    color=st.booleans(),
    unicode=st.booleans(),
)
def test_no_line_is_wider_than_the_terminal(name: str, columns: int, *, color: bool, unicode: bool) -> None:
    run = runs.ALL[name]()
    text = terminal.table(run, width=columns, color=color, unicode=unicode)
    _assert_fits(text, columns, unicode=unicode)


@pytest.mark.parametrize("columns", [1, 80, 200])
def test_no_line_of_a_comparison_is_wider_than_the_terminal(columns: int) -> None:
    hostile = runs.attacked(runs.small())
    for old, new in ((runs.small(), runs.plain()), (hostile, hostile)):
        _assert_fits(comparison.table(old, new, width=columns, color=True), columns)


def _assert_fits(text: str, columns: int, *, unicode: bool = True) -> None:
    for line in COLOURS.sub("", text).splitlines():
        assert width(line) <= max(columns, NARROWEST), line
        assert line == line.rstrip()
        assert line.isprintable()
        assert unicode or line.isascii()


@pytest.mark.parametrize("name", runs.ALL)
def test_colours_add_nothing_but_colours(name: str) -> None:
    run = runs.ALL[name]()
    coloured = terminal.table(run, color=True)
    assert "\x1b[" in coloured
    assert COLOURS.sub("", coloured) == terminal.table(run)


@pytest.mark.parametrize("name", ["plain", "small", "broken off"])
def test_a_run_does_not_differ_from_itself(name: str) -> None:
    text = comparison.table(runs.ALL[name](), runs.ALL[name]())
    assert not re.search(r"\b(slower|faster)\b", text)
    assert "Only in" not in text


def test_what_has_changed_is_told_on_both_sides() -> None:
    text = comparison.table(runs.earlier(), runs.later(), width=100)
    lines = text[: text.index("Layers and other kinds")].splitlines()
    zone = {line.split()[0]: line for line in lines if line.startswith("  ") and line.split()}
    assert zone["getpid"].endswith("faster")
    assert zone["create-unlink"].endswith("slower")
    assert "! kernel: 6.18.2 -> 6.19.0" in text
    assert "! new: hot" in text
    assert "Only in the old run: all in uml." in text


def test_runs_without_anything_in_common_say_so() -> None:
    other = runs.without(runs.without(runs.without(runs.small(), arm="bare"), arm="zone"), arm="control")
    assert "The runs have no workload and arm in common." in comparison.table(runs.rich(), other)


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
    assert "without a control none would" in text
    verdicts = {finding.comparison.verdict for finding in derive(run).overhead}
    assert verdicts == {Verdict.UNCLEAR}
    assert not any(finding.comparison.differs for finding in derive(run).overhead)


def test_a_workload_whose_control_alone_was_lost_has_no_verdict() -> None:
    run = runs.plain()
    lost = run.workloads[0].name
    kept = [each for each in run.series if (each.workload, each.arm) != (lost, "control")]
    found = derive(replace(run, series=tuple(kept)))
    floors = {each.workload.name: each.comparison.floor for each in found.overhead}
    assert floors.pop(lost) is None
    assert None not in floors.values()
    assert "Noise floor: " in terminal.noise(found)


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
