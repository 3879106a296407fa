"""Which namespaces are the zone's own, and which ids its user namespace has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.namespaces.steps.process import ShiftClocks
from zonectl.planning.audit.comparison import same

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zonectl.model.audit import Finding, Observed
    from zonectl.planning.plan import ZonePlan

AREA = "namespaces"
KINDS = ("user", "mnt", "pid", "cgroup", "net", "uts", "ipc", "time")
ALWAYS_OWN = ("mnt", "pid", "cgroup")
"""No key shares these, whichever step makes them."""


def findings(plan: ZonePlan, observed: Observed) -> Iterator[Finding]:
    """Every kind of namespace, own or the host's; then the maps of ids."""
    time = ("time",) if any(isinstance(step, ShiftClocks) for step in plan.inside) else ()
    own = {*ALWAYS_OWN, *plan.clone.namespaces, *time}
    for kind in KINDS:
        found = _whose(kind in observed.shared) if kind in observed.kinds else None
        yield same(AREA, kind, declared=_whose(kind not in own), found=found)
    for step in plan.maps:
        found = getattr(observed.credentials, f"{step.kind}_map")
        yield same(AREA, f"{step.kind} map", declared=step.text, found=found)


def _whose(shared: bool) -> str:  # noqa: FBT001 - of two words one
    return "the host's" if shared else "own"
