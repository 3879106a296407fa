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

    from zonectl.bench.report.findings import Finding, Findings, Row

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
    """A line a workload and a column a layer, of those that show anything; then those that show nothing."""
    rows = list(found.ladder)
    zone = [found.zone] if found.zone and rows else []
    return _matrix([*rows, *zone], found, of=rows, zone="whole zone")


def peers(found: Findings) -> list[str]:
    """The same with a column a peer."""
    rows = list(found.peers)
    zone = [found.zone] if found.zone and rows else []
    return _matrix([*zone, *rows], found, of=rows)


def _matrix(rows: Sequence[Row], found: Findings, *, of: Sequence[Row], zone: str = "") -> list[str]:
    names = [workload.name for workload in found.workloads_of(of)]
    titles = [zone if zone and row is found.zone else row.title for row in rows]
    told = {name: [_cell(row.cells.get(name)) for row in rows] for name in names}
    columns = [at for at in range(len(rows)) if any(_says(told[name][at]) for name in names)]
    silent = [name for name in names if not any(map(_says, told[name]))]
    lines = [[name, *(told[name][at] for at in columns)] for name in names if name not in silent]
    unseen = [title for at, title in enumerate(titles) if at not in columns]
    table = _table(["", *(titles[at] for at in columns)], lines, right=tuple(range(1, len(columns) + 1)))
    rest = [("Nothing above the noise", silent), ("No workload shows", unseen)]
    return [*table, *(f"\n{words}: {', '.join(each)}." for words, each in rest if each and rows)]


def _cell(cell: Finding | None) -> str:
    if cell is None:
        return ""
    if not cell.comparison.differs:
        return _NOTHING
    return f"{_loss(cell.comparison.ratio)} ({figures.typeset(figures.interval(cell.comparison))})"


def _says(text: str) -> bool:
    return text not in {"", _NOTHING}


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
