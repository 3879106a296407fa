"""Tables: aligned for people, exact for programs."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonectl.cli.table import (
    Column,
    Style,
    aligned,
    colon_line,
    csv_text,
    json_text,
)

COLUMNS = (Column("name", "NAME"), Column("pid", "PID", number=True), Column("state", "STATE"))
ROWS = [["web", "1", "running"], ["long-name", "12345", "paused"], ["大", "7", "evil\x1b[2J"]]


def test_columns_stand_below_their_titles() -> None:
    assert aligned(COLUMNS, ROWS) == [
        "NAME         PID  STATE",
        "web            1  running",
        "long-name  12345  paused",
        "大             7  evil\\x1b[2J",
    ]


def test_no_headers_and_no_rows() -> None:
    assert aligned(COLUMNS, [["web", "1", "running"]], headers=False) == ["web  1  running"]
    assert aligned(COLUMNS, []) == ["NAME  PID  STATE"]
    assert aligned(COLUMNS, [], headers=False) == []


def test_colours_do_not_move_columns() -> None:
    style = Style(colour=True)

    def paint(column: int, cell: str, padded: str) -> str:
        return style.paint(padded, "green" if cell == "web" else None) if column == 0 else padded

    assert aligned(COLUMNS, ROWS[:2], headers=False, paint=paint) == [
        "\x1b[32mweb      \x1b[0m      1  running",
        "long-name  12345  paused",
    ]
    assert Style().paint("web", "green") == "web"


def test_no_colours_away_from_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert Style.of_output() == Style(colour=False)


@pytest.mark.parametrize(
    ("no_color", "term", "colour"), [("", "xterm", True), ("1", "xterm", False), ("", "dumb", False)]
)
def test_colours_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, no_color: str, term: str, *, colour: bool
) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", term)
    assert Style.of_output().colour is colour


def split(line: str) -> list[str]:
    """The fields of a line, as a program is to read it."""
    fields, field, characters = [], "", iter(line)
    for char in characters:
        if char == "\\":
            after = next(characters)
            field += "\n" if after == "n" else after
        elif char == ":":
            fields.append(field)
            field = ""
        else:
            field += char
    return [*fields, field]


@given(st.lists(st.text(), min_size=1))
def test_colons_round_trip(fields: list[str]) -> None:
    line = colon_line(fields)
    assert split(line) == fields
    assert "\n" not in line


def test_colons_as_zoneadm_writes_them() -> None:
    assert colon_line(["a:b", "c\\d", ""]) == "a\\:b:c\\\\d:"


@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=3, max_size=3)))
def test_csv_round_trips(rows: list[list[str]]) -> None:
    text = csv_text(COLUMNS, rows)
    assert list(csv.reader(io.StringIO(text, newline=""))) == [["name", "pid", "state"], *rows]


def test_json_is_ascii_and_ends_its_line() -> None:
    text = json_text({"b": "ä", "a": None})
    assert text == '{\n  "b": "\\u00e4",\n  "a": null\n}\n'
    assert json.loads(text) == {"b": "ä", "a": None}
