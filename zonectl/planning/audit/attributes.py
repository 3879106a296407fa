"""What else a process of the zone starts with. What its program may change itself is shown and not judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.planning.audit.comparison import ordered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zonectl.model.audit import Finding, Observed
    from zonectl.planning.plan import ZonePlan

AREA = "process"


def findings(plan: ZonePlan, observed: Observed) -> Iterator[Finding]:
    """The umask, which a program may set as it likes."""
    found = observed.attributes
    yield _own(f"{plan.restrict.umask:04o}", f"{found.umask:04o}", name="umask")


def _own(declared: str, found: str, *, name: str) -> Finding:
    return ordered(AREA, name, words=(declared, found), equal=declared == found, less=True)
