"""The list of all workloads as Markdown, for the manual."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from zonectl.bench.workloads import CATALOGUE, Extent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zonectl.bench.workload import Workload

BEGIN = (
    "<!-- workloads: begin. Made from zonectl/bench/workloads.py by tools/generate.py: edit them there. -->"
)
END = "<!-- workloads: end -->"

_HEAD = "| Workload | Stresses | One operation | Run |\n|---|---|---|---|"
_RUNS = {
    Extent.QUICK: "also `--quick`",
    Extent.FULL: "full",
    Extent.ASKED: "when named",
}


def workloads_text() -> str:
    """A table of workloads for each group."""
    return "\n".join(_lines()).rstrip()


def _lines() -> Iterator[str]:
    for group, members in groupby(CATALOGUE, key=lambda workload: workload.facts.group):
        yield from (f"### {group}", "", _HEAD)
        yield from map(_row, members)
        yield ""


def _row(workload: Workload) -> str:
    facts = workload.facts
    return f"| `{facts.name}` | {facts.stresses} | {facts.operation} | {_RUNS[workload.extent]} |"
