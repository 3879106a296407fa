"""What has changed between two runs, as text for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.bench.compare import Basis, Trend, compare
from zonectl.bench.report import figures, strip_table
from zonectl.bench.report.grid import NARROWEST, Cell, Page
from zonectl.bench.report.strip_table import PLOT, Entry
from zonectl.bench.results import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zonectl.bench.compare import Change, Changes
    from zonectl.bench.results import Run

COLOURS = {Trend.SLOWER: "red", Trend.FASTER: "green", Trend.SAME: "dim", Trend.UNCLEAR: "yellow"}

_CHOICES = (
    ("old", "new", "change", "interval", PLOT, "trend"),
    ("old", "new", "change", "interval", "trend"),
    ("change", "interval", "trend"),
    ("change", "trend"),
)
_TITLES = {"interval": "95 % interval"}
_MOST_NAMED = 8
"""Of what only one run has, so much is named."""


def table(old: Run, new: Run, *, width: int = 80, color: bool = False, unicode: bool = True) -> str:
    """What has changed, no line longer than `width` columns (of at least 60).

    Raises:
        BenchError: a sample is not a positive number.

    """
    changes = compare(old, new)
    page = Page(width=max(width, NARROWEST), colour=color, unicode=unicode)
    parts = [_head(page, old, new, changes), *_tables(page, changes), _alone(page, changes)]
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def _head(page: Page, old: Run, new: Run, changes: Changes) -> list[str]:  # noqa: PLR0917 - private, and in order
    runs = (("old", old), ("new", new))
    return [
        *page.paragraph("What has changed between two runs", colour="bold"),
        *(
            line
            for name, run in runs
            for line in page.paragraph(_run(name, run), colour="dim", indent="     ")
        ),
        *(
            line
            for told in changes.hosts
            for line in page.paragraph(f"! {told}", colour="yellow", indent="  ")
        ),
        *(
            line
            for name, run in runs
            for told in _cautions(run)
            for line in page.paragraph(f"! {name}: {told}", colour="yellow", indent="  ")
        ),
    ]


def _run(name: str, run: Run) -> str:
    return f"{name}: {run.zone}, {run.started_at}, {figures.span(run.duration_s)}"


def _cautions(run: Run) -> list[str]:
    return [*([] if run.complete else ["broken off"]), *run.warnings]


def _tables(page: Page, changes: Changes) -> Iterator[list[str]]:
    """The zone's overheads in full; of all others what has changed."""
    overheads = [change for change in changes.changes if change.basis is Basis.OVERHEAD]
    zone = [change for change in overheads if change.arm.kind is Kind.ZONE]
    others = [change for change in overheads if change.arm.kind in {Kind.LAYER, Kind.PEER}]
    times = [change for change in changes.changes if change.basis is Basis.TIME]
    if zone:
        yield [
            *_titled(page, "Overhead of the zone", _lines(page, zone)),
            "",
            *page.paragraph(_summary(zone)),
        ]
    elif not changes.changes:
        yield page.paragraph("The runs have no workload and arm in common.")
    yield _changed(page, "Layers and other kinds", others)
    yield _changed(page, "Times, which a machine's mood changes as well", times)


def _changed(page: Page, title: str, changes: Sequence[Change]) -> list[str]:
    moved = [change for change in changes if change.trend in {Trend.SLOWER, Trend.FASTER}]
    if not changes:
        return []
    lines = [*_lines(page, moved), ""] if moved else []
    return _titled(page, title, [*lines, *page.paragraph(_summary(changes))])


def _titled(page: Page, title: str, lines: Sequence[str]) -> list[str]:
    return [*page.paragraph(title, colour="bold"), *lines]


def _summary(changes: Sequence[Change]) -> str:
    trends = [change.trend for change in changes]
    counts = ", ".join(f"{trends.count(trend)} {trend}" for trend in Trend if trend in trends)
    return f"Of {len(trends)}: {counts}."


def _lines(page: Page, changes: Sequence[Change]) -> list[str]:
    return strip_table.lines(page, [_entry(change) for change in changes], choices=_CHOICES, titles=_TITLES)


def _entry(change: Change) -> Entry:
    told = figures.loss if change.basis is Basis.OVERHEAD else figures.duration
    colour = COLOURS[change.trend]
    cells = {
        "old": Cell(told(change.old), right=True),
        "new": Cell(told(change.new), right=True),
        "change": Cell(figures.loss(change.ratio), colour, right=True),
        "interval": Cell(figures.between(change.low, change.high), colour, right=True),
        "trend": Cell(change.trend, colour),
    }
    return Entry(
        group=_group(change),
        name=change.workload.name,
        cells=cells,
        ratio=change.ratio,
        low=change.low,
        high=change.high,
        colour=colour,
    )


def _group(change: Change) -> str:
    return change.workload.group if change.arm.kind is Kind.ZONE else change.arm.title


def _alone(page: Page, changes: Changes) -> list[str]:
    sides = (("old", changes.only_old), ("new", changes.only_new))
    return [
        line
        for name, only in sides
        if only
        for line in page.paragraph(f"Only in the {name} run: {_named(only)}.", colour="dim", indent="  ")
    ]


def _named(names: Sequence[str]) -> str:
    more = [f"and {len(names) - _MOST_NAMED} more"] if len(names) > _MOST_NAMED else []
    return ", ".join([*names[:_MOST_NAMED], *more])
