"""All probes, in the order of the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.hostile.groups import cgroup, exhaustion, filesystem, network, proc, surface, terminal

if TYPE_CHECKING:
    from tests.hostile.probe import Probe

PROBES: tuple[Probe, ...] = (
    *filesystem.PROBES,
    *proc.PROBES,
    *cgroup.PROBES,
    *surface.PROBES,
    *terminal.PROBES,
    *network.PROBES,
    *exhaustion.PROBES,
)
