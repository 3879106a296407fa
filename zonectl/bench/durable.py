"""A run's root as a started zone has it, on which fsync(2) reaches the disk.

The overlay of a run is thrown away with it, and mounted so that syncing it does nothing. What is measured is a zone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from zonectl.namespaces.steps.mounts import MountOverlay

if TYPE_CHECKING:
    from zonectl.model.steps import Step
    from zonectl.planning import ZonePlan


def durable(plan: ZonePlan) -> ZonePlan:
    """The plan without `volatile` overlays."""
    return replace(plan, inside=tuple(_durable(step) for step in plan.inside))


def _durable(step: Step) -> Step:
    return replace(step, volatile=False) if isinstance(step, MountOverlay) else step
