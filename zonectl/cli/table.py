"""Tables: for people, for programs (JSON, CSV), and colon-separated for scripts."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zonectl.model.escape import escape, width

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_GAP = "  "
_CODES = {"green": "32", "yellow": "33", "red": "31", "bold": "1", "dim": "2"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its `name` for programs, its `title` for people; cells of a `number` stand to the right."""

    name: str
    title: str
    number: bool = False


@dataclass(frozen=True, slots=True)
class Style:
    """Whether colours are used."""

    colour: bool = False

    @staticmethod
    def of_output() -> Style:
        """Colours on a terminal that has them, unless NO_COLOR is set (no-color.org)."""
        wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"
        return Style(colour=wanted and on_terminal())

    def paint(self, text: str, colour: str | None) -> str:
        """`text` in a colour, or as it is."""
        if not self.colour or colour is None:
            return text
        return f"\x1b[{_CODES[colour]}m{text}\x1b[0m"


def on_terminal() -> bool:
    """Whether standard output is a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()


def _plain(_column: int, _cell: str, padded: str) -> str:
    return padded


def aligned(
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    *,
    headers: bool = True,
    paint: Callable[[int, str, str], str] = _plain,
) -> list[str]:
    """The lines of a table for people; every cell is escaped. `paint` colours (column, cell, padded cell)."""
    cells = [[escape(cell) for cell in row] for row in rows]
    titles = [[column.title for column in columns]] if headers else []
    widths = [max((width(row[at]) for row in (*titles, *cells)), default=0) for at in range(len(columns))]
    return [
        *(_line(columns, row, widths) for row in titles),
        *(_line(columns, row, widths, paint=paint) for row in cells),
    ]


def _line(
    columns: Sequence[Column],
    row: Sequence[str],
    widths: Sequence[int],
    *,
    paint: Callable[[int, str, str], str] = _plain,
) -> str:
    padded = []
    for at, (column, cell) in enumerate(zip(columns, row, strict=True)):
        space = " " * (widths[at] - width(cell))
        last = at == len(columns) - 1
        filled = space + cell if column.number else cell + ("" if last else space)
        padded.append(paint(at, cell, filled))
    return _GAP.join(padded).rstrip()


def colon_line(fields: Iterable[str]) -> str:
    r"""Fields separated by colons, with `\:` for a colon, `\\` for a backslash and `\n` for a newline in them."""
    return ":".join(field.replace("\\", "\\\\").replace(":", "\\:").replace("\n", "\\n") for field in fields)


def csv_text(columns: Sequence[Column], rows: Iterable[Sequence[str]], *, headers: bool = True) -> str:
    """The table as CSV (RFC 4180, with lines that end in a newline alone)."""
    titles = [[column.name for column in columns]] if headers else []
    return "".join(f"{','.join(map(_csv_field, row))}\n" for row in (*titles, *rows))


def _csv_field(field: str) -> str:
    # The csv module of Python 3.11 leaves a lone carriage return bare, where its own reader ends the row.
    if any(char in field for char in ',"\r\n'):
        return '"' + field.replace('"', '""') + '"'
    return field


def json_text(value: object) -> str:
    """A value as JSON for people and programs alike: indented, keys in their own order, ASCII."""
    import json

    return json.dumps(value, indent=2) + "\n"
