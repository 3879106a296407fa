"""What else a run may have measured, as tables of a terminal: ladder, other kinds, life cycle, density."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from zonectl.bench.bootstrap import median
from zonectl.bench.report import figures
from zonectl.bench.report.grid import Cell

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zonectl.bench.report.findings import Findings, Row
    from zonectl.bench.report.grid import Page
    from zonectl.bench.results import WorkloadFacts

_NOTHING = "·"
_GAP = "  "
_NAME_MOST, _TEXT_MOST, _HEAD_MOST, _CLAIM_MOST = 22, 24, 18, 16
_CLASS_FIGURES = 48
"""What the claim and the figures of a class take of a line, at most, with all gaps."""


def all_of(page: Page, found: Findings) -> Iterator[list[str]]:
    """The lines of each section; none for what was not measured."""
    yield _ladder(page, found)
    yield _classes(page, found)
    yield _peers(page, found)
    yield _life(page, found)
    yield _density(page, found)
    yield _missing(page, found)


def _titled(page: Page, lines: Sequence[str], *, title: str, note: str = "") -> list[str]:
    head = [*page.paragraph(title, colour="bold"), *(page.paragraph(note, colour="dim") if note else [])]
    return [*head, *lines] if lines else []


def _ladder(page: Page, found: Findings) -> list[str]:
    total = [dataclasses.replace(found.zone, title="whole zone")] if found.zone and found.ladder else []
    note = (
        "What each layer adds to the one below it, in percent with its 95 % interval; the last line is the whole "
        f"zone over bare metal. {_NOTHING} lies below the noise."
    )
    lines = _matrix(page, [*found.ladder, *total], found.workloads_of(found.ladder))
    return _titled(page, lines, title="The ladder", note=note)


def _peers(page: Page, found: Findings) -> list[str]:
    zone = [found.zone] if found.zone else []
    rows = [*zone, *found.peers] if found.peers else []
    note = f"Loss over bare metal, in percent with its 95 % interval. {_NOTHING} lies below the noise."
    lines = _matrix(page, rows, found.workloads_of(found.peers))
    return _titled(page, lines, title="Other kinds, workload by workload", note=note)


def _matrix(page: Page, rows: Sequence[Row], workloads: Sequence[WorkloadFacts]) -> list[str]:
    """A line a row and two columns a workload, in as many blocks as it takes."""
    telling = [each for each in workloads if any(_differs(row, each.name) for row in rows)]
    names = [[Cell("")], *([Cell(page.cut(page.shown(row.title), _NAME_MOST))] for row in rows)]
    blocks: list[list[list[Cell]]] = []
    for workload in telling:
        column = _matrix_column(page, rows, workload)
        wider = _beside(blocks[-1], column) if blocks else []
        if blocks and page.columns(wider, gap=_GAP) <= page.width:
            blocks[-1] = wider
        else:
            blocks.append(_beside(names, column))
    lines = [line for block in blocks for line in (*page.table(block, gap=_GAP), "")]
    silent = ", ".join(each.name for each in workloads if each not in telling)
    return [*lines, *(page.paragraph(f"Nothing above the noise: {silent}.") if silent else [])]


def _differs(row: Row, workload: str) -> bool:
    finding = row.cells.get(workload)
    return finding is not None and finding.comparison.differs


def _beside(left: Sequence[list[Cell]], right: Sequence[list[Cell]]) -> list[list[Cell]]:
    return [[*one, *other] for one, other in zip(left, right, strict=True)]


def _matrix_column(page: Page, rows: Sequence[Row], workload: WorkloadFacts) -> list[list[Cell]]:
    """The head and the cells of a workload, as wide as each other: loss and interval are one text."""
    title = Cell(page.cut(page.shown(workload.name), _HEAD_MOST), "dim", right=True)
    return [[title], *([_matrix_cell(row, workload.name)] for row in rows)]


def _matrix_cell(row: Row, workload: str) -> Cell:
    finding = row.cells.get(workload)
    if finding is None:
        return Cell("")
    comparison = finding.comparison
    if not comparison.differs:
        return Cell(_NOTHING, "dim", right=True)
    text = f"{figures.bare_loss(comparison.ratio)} ({figures.interval(comparison)})"
    return Cell(text, "red" if comparison.ratio > 1 else "green", right=True)


def _classes(page: Page, found: Findings) -> list[str]:
    """The classes of isolation with the loss that is claimed for them, and what was measured."""
    head = [
        Cell(title, "dim", right)
        for title, right in (
            ("", False),
            ("claimed", False),
            ("median", True),
            ("least", True),
            ("most", True),
        )
    ]
    rows: list[list[Cell]] = []
    family: str | None = None
    for row in found.peers:
        if row.arm.family != family or not rows:
            family = row.arm.family
            rows.append([Cell(page.cut(page.shown(family or "no class"), page.width), "bold")])
        rows.append(_class_row(page, row, among=found))
    zone = (
        [_class_row(page, found.zone, among=found)] if found.zone and found.shared_ratios(found.zone) else []
    )
    note = "Loss over bare metal: the median, the least and the most of the workloads measured in it."
    lines = page.table([head, *zone, *rows], gap=_GAP) if rows else []
    return _titled(page, lines, title="The classes", note=note)


def _class_row(page: Page, row: Row, *, among: Findings) -> list[Cell]:
    ratios = among.shared_ratios(row)
    claimed = page.cut(page.shown(row.arm.claimed or "-"), _CLAIM_MOST)
    of = [figures.loss(ratio) for ratio in (median(ratios), min(ratios), max(ratios))]
    name = page.cut(page.shown(row.title), min(_TEXT_MOST, page.width - _CLASS_FIGURES))
    return [Cell(f"  {name}"), Cell(claimed), *(Cell(text, right=True) for text in of)]


def _life(page: Page, found: Findings) -> list[str]:
    head = [
        Cell(""),
        Cell("in", "dim"),
        Cell("median", "dim", right=True),
        Cell("95 % interval", "dim", right=True),
    ]
    rows = [
        [
            Cell(page.cut(page.shown(each.workload.name), _TEXT_MOST)),
            Cell(page.cut(page.shown(each.arm.title), _NAME_MOST)),
            Cell(figures.duration(each.median_ns), "bold", right=True),
            Cell(f"{figures.duration(each.low_ns)} .. {figures.duration(each.high_ns)}", right=True),
        ]
        for each in found.life
    ]
    return _titled(page, page.table([head, *rows], gap=_GAP) if rows else [], title="Life cycle")


def _density(page: Page, found: Findings) -> list[str]:
    titles = ("zones", "create", "start", "exec", "list", "kernel", "processes")
    head = [Cell(title, "dim", right=True) for title in titles]
    rows = [
        [
            Cell(str(point.zones), "bold", right=True),
            *(
                Cell(figures.duration(nanoseconds), right=True)
                for nanoseconds in (point.create_ns, point.start_ns, point.exec_ns, point.list_ns)
            ),
            *(Cell(figures.size(size), right=True) for size in (point.kernel_bytes, point.user_bytes)),
        ]
        for point in found.run.density
    ]
    note = "What one more takes when so many run, and the memory of each: the kernel's, and its processes'."
    table = [head, *rows]
    gap = _GAP if page.columns(table, gap=_GAP) <= page.width else " "
    return _titled(page, page.table(table, gap=gap) if rows else [], title="Density", note=note)


def _missing(page: Page, found: Findings) -> list[str]:
    lines = [
        line
        for each in found.run.missing
        for line in page.paragraph(f"{each.name}: {each.reason}", indent="  ")
    ]
    return _titled(page, lines, title="Not measured")
