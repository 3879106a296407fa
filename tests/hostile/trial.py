"""Trying a probe in its arms, and judging what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.hostile import without as harness
from tests.hostile.arms import ExecArm, HostArm, InitArm
from tests.hostile.probe import Verdict
from tests.hostile.scene import PLAIN_USER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.hostile.arms import Arm
    from tests.hostile.probe import Outcome, Probe
    from tests.hostile.scene import Scene

WAYS = ("init", "exec", "plain")


def try_probe(probe: Probe, scene: Scene, found: dict[str, str]) -> list[str]:
    """What is wrong; into `found` goes what became of it in each arm."""
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
        found["layers"] = ", ".join(layers(probe, scene))
    return faults


def layers(probe: Probe, scene: Scene) -> Iterator[str]:
    """The keys each of which, left as it is, stops the attack although all others are taken away."""
    removal = probe.removal
    if removal.apart or removal.harnessed:
        return
    for key in removal.keys:
        rest = tuple(other for other in removal.keys if other != key)
        arm = ExecArm(scene, scene.zone(probe.base, rest), rest)
        if probe.run(arm).verdict is Verdict.HELD:
            yield key


def stopped(probe: Probe, outcome: Outcome) -> bool:
    """Whether it has failed, and as it is to fail."""
    return outcome.verdict is Verdict.HELD and outcome.errno in probe.errnos


def arm_of(way: str, probe: Probe, scene: Scene) -> Arm:
    """A zone as it is, entered in that way."""
    if way == "init":
        return InitArm(scene, probe.base, probe.given)
    zone = scene.zone(probe.base, probe.given)
    return ExecArm(scene, zone, probe.given, user=PLAIN_USER if way == "plain" else 0)


def without(probe: Probe, scene: Scene) -> Arm:
    """A zone without the protection."""
    removal = probe.removal
    if removal.apart or harness.known(removal.harnessed):
        return InitArm(scene, probe.base, removal.keys, without=removal.harnessed)
    zone = scene.zone(probe.base, removal.keys)
    return ExecArm(scene, zone, removal.keys, without=removal.harnessed)
