"""The table of a terminal that answers the question: a line a workload, with its interval drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.bench.report import figures, strip_table
from zonectl.bench.report.grid import Cell
from zonectl.bench.report.strip_table import PLOT, Entry
from zonectl.bench.statistics import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zonectl.bench.report.findings import Finding
    from zonectl.bench.report.grid import Page

COLOURS = {Verdict.WITHIN: "green", Verdict.ABOVE: "red", Verdict.UNCLEAR: "yellow"}

# What is shown where there is room, and what goes first where there is not.
_CHOICES = (
    ("bare", "zone", "loss", "interval", PLOT, "verdict"),
    ("bare", "loss", "interval", PLOT, "verdict"),
    ("bare", "loss", "interval", "verdict"),
    ("loss", "interval", "verdict"),
    ("loss", "verdict"),
)
_TITLES = {"interval": "95 % interval"}


def lines(page: Page, findings: Sequence[Finding]) -> list[str]:
    """The table, no wider than the page."""
    return strip_table.lines(
        page, [_entry(finding) for finding in findings], choices=_CHOICES, titles=_TITLES
    )


def _entry(finding: Finding) -> Entry:
    comparison = finding.comparison
    colour = COLOURS[comparison.verdict]
    claimed = colour if comparison.differs else "dim"
    cells = {
        "bare": Cell(figures.duration(finding.reference_ns), right=True),
        "zone": Cell(figures.duration(finding.measured_ns), right=True),
        "loss": Cell(figures.loss(comparison.ratio), claimed, right=True),
        "interval": Cell(figures.interval(comparison), claimed, right=True),
        "verdict": Cell(comparison.verdict, colour),
    }
    return Entry(
        group=finding.workload.group,
        name=finding.workload.name,
        cells=cells,
        ratio=comparison.ratio,
        low=comparison.low,
        high=comparison.high,
        colour=colour,
    )
