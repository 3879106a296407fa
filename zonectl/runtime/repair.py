"""repair: what somebody took away from a running zone is put back, without an end to its processes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from zonectl.cgroups.tree import Tree
from zonectl.errors import SyscallError, ZonectlError
from zonectl.kernel import proc, process
from zonectl.model.instance import zone_cgroup
from zonectl.network import inside as wiring
from zonectl.network import steps as network_steps
from zonectl.network import veth
from zonectl.network.status import Inspection
from zonectl.runtime import zones
from zonectl.runtime.effects import Effects
from zonectl.runtime.health import Checkup
from zonectl.runtime.status import require
from zonectl.runtime.undo import Undo

if TYPE_CHECKING:
    from zonectl.model.record import LiveNote, ZoneRecord
    from zonectl.planning import ZonePlan
    from zonectl.runtime.context import Context


def repair(context: Context, name: str) -> tuple[str, ...]:
    """Put back what is missing of the running zone; returns what was, in plain words, and is not any more.

    Raises:
        StateError: nothing runs.
        HostLacks: the bridge's name or subnet is somebody else's by now.
        ZonectlError: something is still missing; the zone must be restarted.

    """
    with zones.locked(context, name, "repair"):
        found = require(context, name, "repair")
        before = Checkup(context).ailments(found)
        if found.live is None or not before:
            return ()
        zone = zones.load(context, name)
        plan = zones.plan_of(context, zone)
        _connect(context, zone.record, plan, live=found.live)
        _regroup(context, zone.record, plan, live=found.live)
        after = Checkup(context).ailments(found)
    if after:
        raise ZonectlError(f"still degraded: {'; '.join(after)}", zone=name, hint=f"zonectl restart {name}")
    return before


def _connect(context: Context, record: ZoneRecord, plan: ZonePlan, *, live: LiveNote) -> None:
    with Undo() as undo:
        effects = Effects(context, record.name, undo)
        undo.keep()  # what is put back here belongs to a zone that runs
        effects.share(plan.shared)
        for step in plan.links:
            found = Inspection(context.instance).of(record.id)
            if not found.link_present:
                effects.link([step], pid=live.pid)
                _configure(plan, live.pid)
            elif not found.has_master:
                veth.rejoin(step)


def _configure(plan: ZonePlan, pid: int) -> None:
    """Give the zone's new end of the link its address and routes, by a child in its network namespace alone."""
    netns = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def child() -> int:
        process.setns(netns, process.CLONE_NEWNET)
        with wiring.Wiring() as wires:
            for step in plan.inside:
                if isinstance(step, network_steps.InsideStep):
                    wires.apply(step)
        return 0

    try:
        _, pidfd = process.spawn(child)
        ended = process.wait_pidfd(pidfd)
        os.close(pidfd)
    finally:
        os.close(netns)
    if ended is None or ended.code:
        msg = "its end of the new link cannot be configured"
        raise ZonectlError(msg)


def _regroup(context: Context, record: ZoneRecord, plan: ZonePlan, *, live: LiveNote) -> None:
    """Make the zone's group again, and move its processes into it, from wherever somebody has put them."""
    if not plan.cgroup:
        return
    tree = Tree(context.facts.cgroup)
    group = zone_cgroup(context.instance, record.id)
    if not tree.exists(group):
        for step in (*plan.before, *plan.devices):
            tree.apply(step)
    inside = f"{tree.path(group)}/"
    for pid in _processes(live.pid):
        where = proc.cgroup_of(pid)
        if where is not None and not f"{context.facts.cgroup.mount}{where}/".startswith(inside):
            _move(tree.path(plan.cgroup), pid)


def _processes(init: int) -> list[int]:
    """All processes in the pid namespace of `init`; those that an exec has started are no descendants of it."""
    own = proc.namespace_id(init, "pid")
    found = (int(name) for name in os.listdir("/proc") if name.isdecimal())
    return [pid for pid in found if own is not None and proc.namespace_id(pid, "pid") == own]


def _move(group: str, pid: int) -> None:
    try:
        with open(f"{group}/cgroup.procs", "w", encoding="ascii") as file:
            file.write(f"{pid}\n")
    except ProcessLookupError:
        return
    except OSError as error:
        raise SyscallError("write", error.errno or 0, f"{group}/cgroup.procs") from error
