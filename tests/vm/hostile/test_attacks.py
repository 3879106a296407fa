"""Hostile probes that another host's kernel lacks what they attack for, or that would harm it (tests/hostile)."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.instance import Zonectl
from tests.hostile.report import LOGGED
from tests.hostile.scene import Scene
from tests.hostile.table import LANE_PROBES
from tests.hostile.trial import try_probe
from tests.patience import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.hostile.probe import Probe

PROGRAMS = frozenset({probe.group.value for probe in LANE_PROBES}) | {"filesystem"}


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """As on a host, on the scratch disk: the lane's root cannot be given other ids."""
    folder = Path("/scratch/hostile")
    folder.mkdir()
    z = Zonectl(folder)
    z.root.mkdir(mode=0o700)
    with ExitStack() as held:
        held.callback(z.clear)
        # The first command starts zoned, which takes its time where the processor is emulated.
        until(
            lambda: not z("run", "/nowhere.toml", code=None).err.startswith("zonectl: zoned"), timeout_s=300
        )
        yield Scene(z=z, folder=folder, held=held, programs=PROGRAMS)


@pytest.fixture(scope="module")
def results() -> Iterator[dict[str, dict[str, str]]]:
    """What became of them, told in one line: python -m tests.hostile.report takes it from a log of the lane."""
    found: dict[str, dict[str, str]] = {}
    yield found
    os.write(1, f"\n{LOGGED}{json.dumps(found, sort_keys=True)}\n".encode())


@pytest.mark.parametrize("probe", LANE_PROBES, ids=lambda probe: probe.name)
def test_probe(probe: Probe, scene: Scene, results: dict[str, dict[str, str]]) -> None:
    faults = try_probe(probe, scene, results.setdefault(probe.name, {}))
    assert not faults, "\n".join(faults)
    assert scene.neighbour_answers()
