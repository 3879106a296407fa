"""The tables of docs/overhead.md, in Markdown, from runs of the benchmark that were kept.

    .venv/bin/python tools/overhead_tables.py RUN.json [workloads|ladder|classes|peers|life|density]…

What stands in them is what `zonectl bench show` says of the same runs.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from zonectl.bench.bootstrap import median  # noqa: E402 - runs from the tree, installed or not
from zonectl.bench.report import document, figures  # noqa: E402 - as above
from zonectl.bench.report.findings import derive  # noqa: E402 - as above

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from zonectl.bench.report.findings import Findings, Row

_NOTHING = "·"


def main() -> None:
    """Print the tables that are asked for, or all for which there is something."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("tables", nargs="*", metavar="TABLE", default=list(_TABLES), help=", ".join(_TABLES))
    asked = parser.parse_args()
    found = derive(document.load(asked.run.read_text(encoding="utf-8")))
    for name in asked.tables:
        if name not in _TABLES:
            parser.error(f"there is no table {name!r}")
        lines = _TABLES[name](found)
        if lines:
            print("\n".join(lines), end="\n\n")


def workloads(found: Findings) -> list[str]:
    """Every workload: bare metal, zone, loss with its interval, the control's, and the answer."""
    control = found.control.cells if found.control else {}
    rows = []
    for each in found.overhead:
        told, noise = each.comparison, control.get(each.workload.name)
        loss = f"{_loss(told.ratio)} ({figures.typeset(figures.interval(told))})"
        times = [figures.duration(each.reference_ns), figures.duration(each.measured_ns)]
        floor = figures.typeset(figures.interval(noise.comparison)) if noise else ""
        answer = str(told.verdict.value)
        needed = f", about {told.rounds_needed} rounds would" if told.rounds_needed else ""
        rows.append([each.workload.name, each.workload.group, *times, loss, floor, f"{answer}{needed}"])
    head = ["workload", "group", "bare", "zone", "loss, % (95 %)", "bare against itself, %", "within 3 %?"]
    return _table(head, rows, right=(2, 3, 4, 5))


def ladder(found: Findings) -> list[str]:
    """A line a layer and a column a workload."""
    rows = list(found.ladder)
    return _matrix([*rows, *([found.zone] if found.zone and rows else [])], found, of=rows, last="whole zone")


def peers(found: Findings) -> list[str]:
    """A line a peer and a column a workload."""
    rows = list(found.peers)
    zone = [found.zone] if found.zone and rows else []
    return _matrix([*zone, *rows], found, of=rows)


def _matrix(rows: Sequence[Row], found: Findings, *, of: Sequence[Row], last: str = "") -> list[str]:
    names = [workload.name for workload in found.workloads_of(of)]
    lines = []
    for row in rows:
        cells = [row.cells.get(name) for name in names]
        texts = [
            ""
            if cell is None
            else f"{_loss(cell.comparison.ratio)} ({figures.typeset(figures.interval(cell.comparison))})"
            if cell.comparison.differs
            else _NOTHING
            for cell in cells
        ]
        title = last if last and row is found.zone else row.title
        lines.append([title, *texts])
    return _table(["", *names], lines, right=tuple(range(1, len(names) + 1)))


def classes(found: Findings) -> list[str]:
    """The classes with the claimed loss, and the median, least and most of what was measured."""
    lines = []
    for row in [*([found.zone] if found.zone and found.peers else []), *found.peers]:
        ratios = found.shared_ratios(row)
        if ratios:
            told = [_loss(each) for each in (median(ratios), min(ratios), max(ratios))]
            lines.append([row.arm.family or "this zone", row.title, row.arm.claimed or "none", *told])
    return _table(["class", "kind", "claimed", "median, %", "least, %", "most, %"], lines, right=(3, 4, 5))


def life(found: Findings) -> list[str]:
    """The commands of the life cycle."""
    lines = [
        [
            each.workload.name,
            each.arm.title,
            figures.duration(each.median_ns),
            _between(each.low_ns, each.high_ns),
        ]
        for each in found.life
    ]
    return _table(["command", "in", "median", "95 %"], lines, right=(2, 3))


def density(found: Findings) -> list[str]:
    """What one more zone costs."""
    lines = [
        [
            str(point.zones),
            *(figures.duration(ns) for ns in (point.create_ns, point.start_ns, point.exec_ns, point.list_ns)),
            *(figures.size(size) for size in (point.kernel_bytes, point.user_bytes)),
        ]
        for point in found.run.density
    ]
    head = ["zones up", "create", "start", "exec", "list", "kernel's memory", "processes' memory"]
    return _table(head, lines, right=tuple(range(7)))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int]) -> list[str]:
    if not rows:
        return []
    rule = ["--:" if column in right else "---" for column in range(len(head))]
    return [f"| {' | '.join(cells)} |" for cells in (head, rule, *rows)]


def _loss(ratio: float) -> str:
    return figures.typeset(figures.bare_loss(ratio))


def _between(low: float, high: float) -> str:
    return f"{figures.duration(low)} .. {figures.duration(high)}"


_TABLES: dict[str, Callable[[Findings], list[str]]] = {
    each.__name__: each for each in (workloads, ladder, classes, peers, life, density)
}


if __name__ == "__main__":
    main()
