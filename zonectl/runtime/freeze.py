"""pause and resume: a zone's processes frozen where they are (cgroups(7), cgroup.freeze)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.cgroups.tree import Tree
from zonectl.errors import HostLacks, ZonectlError
from zonectl.model.instance import zone_cgroup
from zonectl.runtime import zones
from zonectl.runtime.status import require

if TYPE_CHECKING:
    from zonectl.runtime.context import Context

FREEZE_S = 10.0


def pause(context: Context, name: str) -> None:
    """Freeze every process of the zone.

    Raises:
        StateError: it is not running.
        HostLacks: there are no control groups of version 2.

    """
    with zones.locked(context, name, "pause"):
        Tree(context.facts.cgroup).freeze(_group(context, name, "pause"), timeout_s=FREEZE_S)


def resume(context: Context, name: str) -> None:
    """Thaw the zone; raises as `pause`."""
    with zones.locked(context, name, "resume"):
        Tree(context.facts.cgroup).thaw(_group(context, name, "resume"))


def _group(context: Context, name: str, verb: str) -> str:
    if not context.facts.cgroup.mount:
        raise HostLacks(f"cannot {verb}: no cgroup2 is mounted", zone=name, hint="zonectl doctor")
    found = require(context, name, verb)
    if found.record is None:
        raise ZonectlError(
            f"cannot {verb}: its record is damaged", zone=name, hint=f"zonectl delete -f {name}"
        )
    return zone_cgroup(context.instance, found.record.id)
