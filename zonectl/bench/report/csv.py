"""A run's samples as CSV, a row each: for spreadsheets, R and the like."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zonectl.bench.results import Run

COLUMNS = ("workload", "group", "arm", "kind", "round", "sample", "loops", "ns_per_operation")


def rows(run: Run) -> str:
    """A head, then every sample of the run in the order of the document; rounds and samples are counted from 1.

    RFC 4180, with lines that end in a newline alone. Texts are always quoted, numbers never: so a reader can tell
    them apart, and a carriage return in a name ends no row.
    """
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_rows(run))
    return text.getvalue()


def _rows(run: Run) -> Iterator[tuple[str | int | float, ...]]:
    groups = {workload.name: workload.group for workload in run.workloads}
    kinds = {arm.name: arm.kind.value for arm in run.arms}
    for series in run.series:
        named = (series.workload, groups[series.workload], series.arm, kinds[series.arm])
        for number, samples in enumerate(series.rounds, 1):
            for place, nanoseconds in enumerate(samples, 1):
                yield (*named, number, place, series.loops, nanoseconds)
