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

LANE_PROBES: tuple[Probe, ...] = (
    *(probe for probe in PROBES if probe.lane),
    *cgroup.LANE_PROBES,
    *exhaustion.LANE_PROBES,
)
"""Those that are tried on a kernel of their own, since this host's lacks what they attack or would be harmed."""
