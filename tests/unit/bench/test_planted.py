"""The verdicts on recorded runs of which it is known what was planted: tools/bench_detection.py made them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from zonectl.bench.statistics import Comparison, Verdict, compare, noise_floor

CORPUS: dict[str, Any] = json.loads(Path(__file__).with_name("planted.json").read_text(encoding="utf-8"))
PLANTED = 1 + CORPUS["about"]["planted_percent"] / 100


def judged(*, planted: bool) -> list[Comparison]:
    runs = [run for run in CORPUS["runs"] if run["planted"] is planted]
    return [compare(run["bare"], run["zone"], floor=noise_floor(run["bare"], run["control"])) for run in runs]


@pytest.mark.parametrize("planted", [True, False])
def test_ten_runs_of_each(planted: bool) -> None:
    found = judged(planted=planted)
    assert len(found) == 10
    assert all(each.rounds == 20 for each in found)


def test_what_was_planted_is_found() -> None:
    found = judged(planted=True)
    assert sum(each.verdict is Verdict.ABOVE for each in found) >= 9
    assert not any(each.verdict is Verdict.WITHIN for each in found)
    assert all(each.ratio == pytest.approx(PLANTED, abs=0.01) for each in found)


def test_where_nothing_was_planted_nothing_is_found() -> None:
    found = judged(planted=False)
    assert sum(each.verdict in {Verdict.WITHIN, Verdict.UNCLEAR} for each in found) == 10
    assert not any(each.differs for each in found)
    assert sum(each.low <= 1 <= each.high for each in found) >= 9


def test_the_control_is_no_zone() -> None:
    """Exchanged, the control is as far from bare metal as the arm in which nothing was planted."""
    for run in CORPUS["runs"]:
        if not run["planted"]:
            floor = noise_floor(run["bare"], run["zone"])
            assert compare(run["bare"], run["control"], floor=floor).verdict is not Verdict.ABOVE
