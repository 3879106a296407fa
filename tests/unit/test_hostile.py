"""The table of hostile probes: complete, each with its protection, and told in docs/hostile.md as it is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.hostile import report
from tests.hostile.probe import Group, Probe
from tests.hostile.table import LANE_PROBES, PROBES
from tests.hostile.without import STEPS

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "tests" / "hostile" / "programs"
FEWEST = 60

each_probe = pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)


def test_there_are_enough_and_each_group_has_some() -> None:
    assert len(PROBES) >= FEWEST
    assert {probe.group for probe in PROBES} == set(Group) - {Group.INJECTION}  # those are tests of their own
    names = [probe.name for probe in PROBES]
    assert sorted(set(names)) == sorted(names)


@each_probe
def test_a_probe_says_what_it_is(probe: Probe) -> None:
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]+", probe.name)
    assert probe.source
    assert probe.protection
    assert probe.errnos
    assert probe.removal.keys or probe.removal.harnessed, "nothing takes its protection away"
    assert bool(probe.words) != bool(probe.attempt)


@each_probe
def test_a_probes_program_knows_it(probe: Probe) -> None:
    if probe.words:
        source = (PROGRAMS / f"{probe.group.value}.c").read_text(encoding="utf-8")
        assert f'{{"{probe.words[0]}", {len(probe.words) - 1}, ' in source


def test_every_step_that_can_be_taken_away_is() -> None:
    assert STEPS.keys() <= {step for probe in PROBES for step in probe.removal.harnessed.split("+")}


def test_the_page_lists_the_probes_and_what_became_of_them() -> None:
    kept = json.loads(report.KEPT.read_text(encoding="utf-8"))
    lane = {f"{probe.name}{report.IN_LANE}" for probe in LANE_PROBES}
    assert kept.keys() - lane == {probe.name for probe in PROBES}, report.__doc__
    assert report.PAGE.read_text(encoding="utf-8") == report.page(kept), report.__doc__


def test_what_has_been_recorded_is_what_is_promised() -> None:
    kept = json.loads(report.KEPT.read_text(encoding="utf-8"))
    for name, found in kept.items():
        for way in report.WAYS:
            assert found[way].startswith("held"), (name, way, found[way])
        if found["host"].startswith("broke"):
            assert found["removed"].startswith("broke"), (name, found["removed"])
