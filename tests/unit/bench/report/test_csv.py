"""Every sample has its row, and every name survives."""

from __future__ import annotations

import csv as reader
import io

import pytest

from tests.unit.bench.report import runs
from zonectl.bench.report import csv


@pytest.mark.parametrize("name", runs.ALL)
def test_every_sample_is_read_back(name: str) -> None:
    run = runs.ALL[name]()
    head, *rows = reader.reader(io.StringIO(csv.rows(run), newline=""))
    assert tuple(head) == csv.COLUMNS
    samples = [
        (series.workload, series.arm, number, place, series.loops, nanoseconds)
        for series in run.series
        for number, round_ in enumerate(series.rounds, 1)
        for place, nanoseconds in enumerate(round_, 1)
    ]
    read = [(row[0], row[2], int(row[4]), int(row[5]), int(row[6]), float(row[7])) for row in rows]
    assert read == samples
