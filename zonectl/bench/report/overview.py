"""The table of a terminal that answers the question: a line a workload, with a plot of its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.bench.report import figures
from zonectl.bench.report.grid import Cell
from zonectl.bench.report.scale import LossScale
from zonectl.bench.statistics import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zonectl.bench.report.findings import Finding
    from zonectl.bench.report.grid import Page
    from zonectl.bench.statistics import Comparison

COLOURS = {Verdict.WITHIN: "green", Verdict.ABOVE: "red", Verdict.UNCLEAR: "yellow"}
_LIMIT = 1.03
_PLOT_LEAST, _PLOT_MOST = 9, 40
_NAME_MOST, _NAME_LEAST = 20, 8
_INDENT = "  "
_GAP = " "

# What is shown where there is room, and what goes first where there is not.
_CHOICES = (
    ("bare", "zone", "loss", "interval", "plot", "verdict"),
    ("bare", "loss", "interval", "plot", "verdict"),
    ("bare", "loss", "interval", "verdict"),
    ("loss", "interval", "verdict"),
    ("loss", "verdict"),
)
_TITLES = {"interval": "95 % interval", "plot": ""}
_NUMBERS = {"bare", "zone", "loss", "interval"}

# (what an end, the stretch between and the median of an interval are drawn with; 0 and 3 %; what lies beyond the axis)
_LINES = {"bar": "━", "median": "●", "zero": "│", "limit": "┊", "before": "◂", "beyond": "▸"}
_LINES_ASCII = {"bar": "=", "median": "o", "zero": "|", "limit": ":", "before": "<", "beyond": ">"}


def lines(page: Page, findings: Sequence[Finding]) -> list[str]:
    """The table, no wider than the page: columns are left out where there is no room for them."""
    name_columns = min(_NAME_MOST, max(len(page.shown(finding.workload.name)) for finding in findings))
    for columns in _CHOICES:
        used = _used(page, findings, columns) + len(_INDENT) + name_columns
        room = page.width - used
        if room >= (_PLOT_LEAST + len(_GAP) if "plot" in columns else 0):
            break
    else:
        name_columns, room = max(_NAME_LEAST, name_columns + room), 0
    drawing = _Drawing(page, findings, min(room - len(_GAP), _PLOT_MOST))
    rows = [_titles(columns, drawing), *_rows(page, findings, columns, name_columns, drawing)]
    return page.table(rows, gap=_GAP)


def _used(page: Page, findings: Sequence[Finding], columns: Sequence[str]) -> int:
    """The columns of the terminal that the figures take, with the gaps before them."""
    return sum(
        len(_GAP)
        + max(len(page.shown(text)) for text in (_TITLES.get(column, column), *_texts(findings, column)))
        for column in columns
        if column != "plot"
    )


def _texts(findings: Sequence[Finding], column: str) -> list[str]:
    return [_text(finding, column) for finding in findings]


def _text(finding: Finding, column: str) -> str:
    match column:
        case "bare":
            return figures.duration(finding.reference_ns)
        case "zone":
            return figures.duration(finding.measured_ns)
        case "loss":
            return figures.loss(finding.comparison.ratio)
        case "interval":
            return figures.interval(finding.comparison)
    return finding.comparison.verdict


def _titles(columns: Sequence[str], drawing: _Drawing) -> list[Cell]:
    titles = [Cell("")]
    for column in columns:
        title = drawing.axis() if column == "plot" else _TITLES.get(column, column)
        titles.append(Cell(title, "dim", column in _NUMBERS))
    return titles


def _rows(  # noqa: PLR0917 - private, and each of another type
    page: Page, findings: Sequence[Finding], columns: Sequence[str], name_columns: int, drawing: _Drawing
) -> Iterator[list[Cell]]:
    group = None
    for finding in findings:
        if finding.workload.group != group:
            group = finding.workload.group
            yield [Cell(page.cut(page.shown(group), page.width), "bold")]
        name = page.cut(page.shown(finding.workload.name), name_columns)
        yield [Cell(_INDENT + name), *(_cell(finding, column, drawing) for column in columns)]


def _cell(finding: Finding, column: str, drawing: _Drawing) -> Cell:
    colour = COLOURS[finding.comparison.verdict]
    if column == "plot":
        return Cell(drawing.plot(finding.comparison), colour)
    if column in {"loss", "interval"} and not finding.comparison.differs:
        colour = "dim"
    return Cell(_text(finding, column), None if column in {"bare", "zone"} else colour, column in _NUMBERS)


class _Drawing:
    """Intervals in so many columns, all on one axis."""

    def __init__(self, page: Page, findings: Sequence[Finding], columns: int) -> None:
        self._columns = columns
        self._marks = _LINES if page.unicode else _LINES_ASCII
        ends = (end for finding in findings for end in (finding.comparison.low, finding.comparison.high))
        self._scale = LossScale.around(ends)

    def _at(self, ratio: float) -> int:
        return round(self._scale.at(ratio) * (self._columns - 1))

    def axis(self) -> str:
        """The losses that have room to be named, each above its place; 0 and 3 before the others."""
        line = [" "] * self._columns
        ticks = sorted(self._scale.ticks, key=lambda tick: (tick != 0, tick != _LIMIT - 1, -tick))
        for tick in ticks:
            text = f"{tick * 100:.0f}"
            start = min(max(0, self._at(1 + tick) - (len(text) - 1) // 2), self._columns - len(text))
            if all(char == " " for char in line[max(0, start - 1) : start + len(text) + 1]):
                line[start : start + len(text)] = text
        return "".join(line)

    def plot(self, comparison: Comparison) -> str:
        """An interval and its median, with lines at 0 and 3 %."""
        line = [" "] * self._columns
        line[self._at(1.0)] = self._marks["zero"]
        line[self._at(_LIMIT)] = self._marks["limit"]
        first, last = self._at(comparison.low), self._at(comparison.high)
        line[first : last + 1] = self._marks["bar"] * (last + 1 - first)
        line[self._at(comparison.ratio)] = self._marks["median"]
        if comparison.low - 1 < self._scale.low:
            line[0] = self._marks["before"]
        if comparison.high - 1 > self._scale.high:
            line[-1] = self._marks["beyond"]
        return "".join(line)
