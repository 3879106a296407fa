"""Which device nodes stand where, and the program that is asked at each open of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.model.audit import Finding, Verdict
from zonectl.model.devices import NODES
from zonectl.namespaces.steps.contents import MakeDevices
from zonectl.namespaces.steps.nodes import PlaceNodes
from zonectl.planning.audit.comparison import same, unread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zonectl.model.audit import Observed
    from zonectl.planning.plan import ZonePlan

AREA = "devices"


def paths(plan: ZonePlan) -> tuple[str, ...]:
    """What `findings` wants to know of."""
    placed = (target for step in plan.inside if isinstance(step, PlaceNodes) for target in step.targets)
    return (*_usual(plan), *placed)


def findings(plan: ZonePlan, observed: Observed) -> Iterator[Finding]:
    """Every node by its number, those of the zone file as the host has them; then the filter."""
    expected = {**_usual(plan), **dict(observed.nodes)}
    standings = {standing.path: standing for standing in observed.standings}
    for path in paths(plan):
        standing = standings[path]
        yield same(AREA, path, declared=expected[path], found=standing.kind or standing.reason)
    yield _filter(plan, observed)


def _usual(plan: ZonePlan) -> dict[str, str]:
    names = (name for step in plan.inside if isinstance(step, MakeDevices) for name in step.nodes)
    return {f"/dev/{name}": "device {}:{}".format(*NODES[name]) for name in names}


def _filter(plan: ZonePlan, observed: Observed) -> Finding:
    """Ours must be among the programs of the group: each that is attached besides only refuses more."""
    found, name = observed.devices, "filter"
    if not plan.devices:
        verdict = Verdict.NARROWER if found and found.attached else Verdict.HOLDS
        words = " ".join(found.attached) if found and found.attached else "off"
        return Finding(area=AREA, name=name, declared="off", found=words, verdict=verdict)
    if found is None:
        return unread(AREA, name, declared="a program on its group")
    attached = found.wanted if found.wanted in found.attached else " ".join(found.attached) or "none"
    return same(AREA, name, declared=found.wanted, found=attached)
