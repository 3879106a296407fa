"""Every probe in its three arms: it succeeds on the host, fails in a zone, and succeeds without the protection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.hostile.table import PROBES
from tests.hostile.trial import try_probe

if TYPE_CHECKING:
    from tests.hostile.probe import Probe
    from tests.hostile.scene import Scene


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_probe(probe: Probe, scene: Scene, results: dict[str, dict[str, str]]) -> None:
    faults = try_probe(probe, scene, results.setdefault(probe.name, {}))
    assert not faults, "\n".join(faults)
