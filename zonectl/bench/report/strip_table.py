"""A table of a terminal whose lines have an interval, drawn on one axis for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zonectl.bench.report.grid import Cell
from zonectl.bench.report.scale import LossScale
from zonectl.bench.statistics import LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zonectl.bench.report.grid import Page

PLOT = "plot"
"""The column of the drawings."""

_PLOT_LEAST, _PLOT_MOST = 9, 40
_NAME_MOST, _NAME_LEAST = 20, 8
_INDENT = "  "
_GAP = " "

# (what an interval and its median are drawn with; 0 and the limit; what lies beyond the axis)
_LINES = {"bar": "━", "median": "●", "zero": "│", "limit": "┊", "before": "◂", "beyond": "▸"}
_LINES_ASCII = {"bar": "=", "median": "o", "zero": "|", "limit": ":", "before": "<", "beyond": ">"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line: its name below the heading of its group, its cells by column, and its interval of ratios."""

    group: str
    name: str
    cells: dict[str, Cell]
    ratio: float
    low: float
    high: float
    colour: str


def lines(
    page: Page, entries: Sequence[Entry], *, choices: Sequence[Sequence[str]], titles: dict[str, str]
) -> list[str]:
    """The table, no wider than the page: of the choices of columns, the first that there is room for.

    In the last, names are cut. What has no title is titled by its column's name.
    """
    name_columns = min(_NAME_MOST, max(len(page.shown(entry.name)) for entry in entries))
    columns: Sequence[str] = ()
    room = 0
    for columns in choices:
        room = page.width - len(_INDENT) - name_columns - _used(page, entries, columns, titles=titles)
        if room >= (_PLOT_LEAST + len(_GAP) if PLOT in columns else 0):
            break
    name_columns = max(_NAME_LEAST, name_columns + min(0, room))
    drawing = _Drawing(page, entries, min(room - len(_GAP), _PLOT_MOST))
    head = [Cell(""), *(_title(entries, column, drawing, titles=titles) for column in columns)]
    return page.table(
        [head, *_rows(page, entries, columns, name_columns=name_columns, drawing=drawing)], gap=_GAP
    )


def _used(page: Page, entries: Sequence[Entry], columns: Sequence[str], *, titles: dict[str, str]) -> int:
    """The columns of the terminal that the figures take, with the gaps before them."""
    texts = {
        column: [titles.get(column, column), *(entry.cells[column].text for entry in entries)]
        for column in columns
        if column != PLOT
    }
    return sum(len(_GAP) + max(len(page.shown(text)) for text in of) for of in texts.values())


def _title(entries: Sequence[Entry], column: str, drawing: _Drawing, *, titles: dict[str, str]) -> Cell:
    if column == PLOT:
        return Cell(drawing.axis(), "dim")
    return Cell(titles.get(column, column), "dim", entries[0].cells[column].right)


def _rows(
    page: Page, entries: Sequence[Entry], columns: Sequence[str], *, name_columns: int, drawing: _Drawing
) -> Iterator[list[Cell]]:
    group = None
    for entry in entries:
        if entry.group != group:
            group = entry.group
            yield [Cell(page.cut(page.shown(group), page.width), "bold")]
        name = Cell(_INDENT + page.cut(page.shown(entry.name), name_columns))
        drawn = {PLOT: Cell(drawing.plot(entry), entry.colour)} if PLOT in columns else {}
        yield [name, *((entry.cells | drawn)[column] for column in columns)]


class _Drawing:
    """Intervals in so many columns, all on one axis."""

    def __init__(self, page: Page, entries: Sequence[Entry], columns: int) -> None:
        self._columns = columns
        self._marks = _LINES if page.unicode else _LINES_ASCII
        self._scale = LossScale.around(end for entry in entries for end in (entry.low, entry.high))

    def _at(self, ratio: float) -> int:
        return round(self._scale.at(ratio) * (self._columns - 1))

    def axis(self) -> str:
        """The losses that have room to be named, each above its place; 0 and the limit before the others."""
        line = [" "] * self._columns
        ticks = sorted(self._scale.ticks, key=lambda tick: (tick != 0, tick != LIMIT, -tick))
        for tick in ticks:
            text = f"{tick * 100:.0f}"
            start = min(max(0, self._at(1 + tick) - (len(text) - 1) // 2), self._columns - len(text))
            if all(char == " " for char in line[max(0, start - 1) : start + len(text) + 1]):
                line[start : start + len(text)] = text
        return "".join(line)

    def plot(self, entry: Entry) -> str:
        """An interval and its median, with lines at 0 and at the limit."""
        line = [" "] * self._columns
        line[self._at(1.0)] = self._marks["zero"]
        line[self._at(1 + LIMIT)] = self._marks["limit"]
        first, last = self._at(entry.low), self._at(entry.high)
        line[first : last + 1] = self._marks["bar"] * (last + 1 - first)
        line[self._at(entry.ratio)] = self._marks["median"]
        if entry.low - 1 < self._scale.low:
            line[0] = self._marks["before"]
        if entry.high - 1 > self._scale.high:
            line[-1] = self._marks["beyond"]
        return "".join(line)
