"""Every probe in its three arms: it succeeds on the host, fails in a zone, and succeeds without the protection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.hostile import without as harness
from tests.hostile.arms import ExecArm, HostArm, InitArm
from tests.hostile.probe import Outcome, Verdict
from tests.hostile.scene import PLAIN_USER
from tests.hostile.table import PROBES

if TYPE_CHECKING:
    from tests.hostile.arms import Arm
    from tests.hostile.probe import Probe
    from tests.hostile.scene import Scene

WAYS = ("init", "exec", "plain")

each_probe = pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)


@each_probe
def test_probe(probe: Probe, scene: Scene, results: dict[str, dict[str, str]]) -> None:
    found = results.setdefault(probe.name, {})
    host = probe.run(HostArm(scene))
    found["host"] = str(host)
    faults = []
    for way in WAYS:
        outcome = probe.run(arm_of(way, probe, scene))
        found[way] = str(outcome)
        if not stopped(probe, outcome):
            faults.append(f"{way}: {outcome}; expected {sorted(probe.errnos)}")
    if host.verdict is Verdict.BROKE:
        removed = probe.run(without(probe, scene))
        found["removed"] = str(removed)
        if removed.verdict is not Verdict.BROKE:
            faults.append(f"without {probe.removal}: {removed}; the protection is another than is said")
    assert not faults, "\n".join(faults)


def stopped(probe: Probe, outcome: Outcome) -> bool:
    return outcome.verdict is Verdict.HELD and outcome.errno in probe.errnos


def arm_of(way: str, probe: Probe, scene: Scene) -> Arm:
    if way == "init":
        return InitArm(scene, probe.base, probe.given)
    zone = scene.zone(probe.base, probe.given)
    return ExecArm(scene, zone, probe.given, user=PLAIN_USER if way == "plain" else 0)


def without(probe: Probe, scene: Scene) -> Arm:
    removal = probe.removal
    if removal.apart or harness.known(removal.harnessed):
        return InitArm(scene, probe.base, removal.keys, without=removal.harnessed)
    zone = scene.zone(probe.base, removal.keys)
    return ExecArm(scene, zone, removal.keys, without=removal.harnessed)
