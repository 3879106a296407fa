"""What `zonectl doctor` shows: each thing that zones rely on, really tried, with the remedy where it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.kernel import probe_cgroups, probe_mounts, probe_namespaces, probe_network, probe_process
from zonectl.kernel.host import host_facts
from zonectl.model.instance import DEFAULT_ROOT

if TYPE_CHECKING:
    from zonectl.model.facts import HostFacts, Probe

__all__ = ["host_facts", "probes"]


def probes(facts: HostFacts, *, root: str = DEFAULT_ROOT) -> tuple[Probe, ...]:
    """Everything tried on this host, about a second of work; `root` is where the instance keeps its zones.

    What a trial makes is gone afterwards: it happens in children with namespaces, or groups, of their own.
    """
    return (
        probe_process.kernel(facts),
        *probe_namespaces.probes(facts),
        *probe_cgroups.probes(facts),
        *probe_mounts.probes(facts, root=root),
        *probe_network.probes(),
        *probe_process.probes(),
    )
