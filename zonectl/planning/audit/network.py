"""The connection of a zone that has a link of its own to a bridge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.planning.audit.comparison import ordered, same, unread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zonectl.model.audit import Finding, Observed
    from zonectl.planning.plan import ZonePlan

AREA = "network"
_INTACT = "there, behind its rules"
_GUARDED = {True: "for its own link address alone", False: "for any link address"}
_APART = {True: "apart from other zones", False: "in reach of other zones"}


def findings(plan: ZonePlan, observed: Observed) -> Iterator[Finding]:
    """Its link and the rules that guard it, then whether its port takes only what is its own and is kept apart."""
    found = observed.connection
    for link in plan.links:
        problems = "; ".join(found.problems) or _INTACT if found else None
        yield same(AREA, "link", declared=_INTACT, found=problems)
        if found is None or found.guarded is None or found.isolated is None:
            yield unread(AREA, "port", declared=_GUARDED[True], reason="there is none")
            continue
        yield same(AREA, "port", declared=_GUARDED[True], found=_GUARDED[found.guarded])
        words = _APART[link.isolated], _APART[found.isolated]
        yield ordered(
            AREA, "neighbours", words=words, equal=link.isolated == found.isolated, less=found.isolated
        )
