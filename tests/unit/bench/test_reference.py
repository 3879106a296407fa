"""The manual's list of workloads is the catalogue's."""

from __future__ import annotations

from pathlib import Path

from tools.pages import renewed
from zonectl.bench.reference import BEGIN, END, workloads_text
from zonectl.bench.workloads import CATALOGUE

PAGE = Path(__file__).parents[3] / "docs" / "manual" / "bench.md"


def test_the_list_is_current() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert renewed(page, BEGIN, END, text=workloads_text()) == page, "run tools/generate.py"


def test_every_workload_is_in_it() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for workload in CATALOGUE:
        assert f"| `{workload.facts.name}` |" in page
