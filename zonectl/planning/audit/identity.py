"""Whom init runs as, and what it may do: ids, capabilities, no_new_privs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from zonectl.model import capabilities
from zonectl.planning.audit.comparison import ordered, same

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zonectl.model.audit import Finding, Observed
    from zonectl.planning.plan import ZonePlan

AREA = "privileges"
_ROOT = frozenset({"root", "0"})


def findings(plan: ZonePlan, observed: Observed) -> Iterator[Finding]:
    """The ids, where the zone has some of its own, the five sets of capabilities, and no_new_privs."""
    found, step = observed.credentials, plan.restrict
    for kind, ids in (("user", found.uids), ("group", found.gids)):
        for mapped in plan.maps:
            if mapped.kind == kind[0] + "id":
                yield _ids(f"{kind} ids", ids, first=int(mapped.first), count=mapped.count)
    root = step.user.partition(":")[0] in _ROOT
    held = step.capabilities if root else step.ambient
    ambient = 0 if root else step.ambient
    yield _set("bounding", step.capabilities, found.bounding)
    yield _set("permitted", held, found.permitted)
    yield _set("effective", held, found.effective)
    yield _set("inheritable", ambient, found.inheritable)
    yield _set("ambient", ambient, found.ambient)
    words = "on" if step.no_new_privs else "off", "on" if found.no_new_privs else "off"
    yield ordered(AREA, "no_new_privs", words=words, equal=words[0] == words[1], less=found.no_new_privs)


def _ids(name: str, ids: tuple[int, ...], *, first: int, count: int) -> Finding:
    """Real, effective, saved and file-system ids: all of them the zone's, whichever."""
    declared = f"{first}-{first + count - 1} on the host"
    within = all(first <= each < first + count for each in ids)
    found = declared if within else " ".join(map(str, ids))
    return same(AREA, name, declared=declared, found=found)


def _set(name: str, declared: int, found: int) -> Finding:
    words = f"{declared:016x}", f"{found:016x}{_difference(declared, found)}"
    finding = ordered(AREA, name, words=words, equal=declared == found, less=found & ~declared == 0)
    return replace(finding, detail=" ".join(capabilities.names(found)))


def _difference(declared: int, found: int) -> str:
    more = [f"+{name}" for name in capabilities.names(found & ~declared)]
    less = [f"-{name}" for name in capabilities.names(declared & ~found)]
    return " " + " ".join(more + less) if more or less else ""
