"""What somebody has taken away from a zone that runs: its control group, its link, its bridge, its firewall rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.cgroups.tree import Tree
from zonectl.errors import SyscallError
from zonectl.kernel import proc
from zonectl.model.instance import zone_cgroup
from zonectl.network.status import Inspection

if TYPE_CHECKING:
    from zonectl.model.record import LiveNote, ZoneRecord
    from zonectl.runtime.context import Context
    from zonectl.runtime.status import ZoneStatus


class Checkup:
    """A look at any number of zones; what they share is looked at once."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._connections = Inspection(context.instance)
        self._net = proc.namespace_id("self", "net")

    def ailments(self, found: ZoneStatus) -> tuple[str, ...]:
        """What is missing of the zone, in plain words; empty for one that has no processes, or lacks nothing.

        What only root may ask for is passed over for others.
        """
        if found.live is None or found.record is None:
            return ()
        return (*self._group(found.record, found.live), *self._connection(found.record, found.live))

    def _group(self, record: ZoneRecord, live: LiveNote) -> tuple[str, ...]:
        facts = self._context.facts.cgroup
        if not facts.mount:
            return ()
        tree, group = Tree(facts), zone_cgroup(self._context.instance, record.id)
        if not tree.exists(group):
            return ("its control group is gone",)
        where = proc.cgroup_of(live.pid)
        if where is None or f"{facts.mount}{where}/".startswith(f"{tree.path(group)}/"):
            return ()
        return (f"its init is in another control group, {where}",)

    def _connection(self, record: ZoneRecord, live: LiveNote) -> tuple[str, ...]:
        # An address is what zones with a link have; one that shares the host's namespace has none of its own.
        if record.address is None or proc.namespace_id(live.pid, "net") == self._net:
            return ()
        try:
            return self._connections.of(record.id).problems
        except SyscallError:
            return ()
