"""A zone from all sides: what is on disk of it, what the kernel says, and what that means."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zonectl.cgroups.tree import Tree
from zonectl.errors import StoreError, ZonectlError
from zonectl.kernel import proc
from zonectl.model.instance import zone_cgroup
from zonectl.model.state import ZoneState
from zonectl.planning.protections import waivers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zonectl.cgroups.pressure import GroupPressure
    from zonectl.cgroups.stats import GroupStats
    from zonectl.kernel.proc import MountEntry
    from zonectl.model.config import ZoneConfig
    from zonectl.planning.protections import Waiver
    from zonectl.runtime.context import Context
    from zonectl.runtime.status import ZoneStatus

KINDS = ("user", "net", "uts", "ipc", "time")
"""The namespaces that a zone may share with the host; the others are always its own."""

_MOUNTINFO_BYTES = 1 << 16
"""Of a list that the zone can make very long: 600 mounts or so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Portrait:
    """What was found. `config` is None where the zone's file cannot be read; `group` where it has no group."""

    status: ZoneStatus
    path: str
    config: ZoneConfig | None
    shared: tuple[str, ...]
    group: str | None
    pids: tuple[int, ...]
    stats: GroupStats | None
    pressure: GroupPressure | None
    mounts: tuple[MountEntry, ...]
    degraded: tuple[str, ...]
    hints: tuple[str, ...]
    now: float

    @property
    def waivers(self) -> tuple[Waiver, ...]:
        """What the zone's file waives; none where it cannot be read."""
        record = self.status.record
        return waivers(self.config, record.warnings if record else ()) if self.config else ()


def take(context: Context, name: str) -> Portrait:
    """The portrait of the zone `name`.

    Raises:
        NoSuchZone: there is none.

    """
    found = _status(context, name)
    config = _config(context, name)
    group = _group(context, found)
    tree = Tree(context.facts.cgroup)
    live = group is not None and tree.exists(group)
    return Portrait(
        status=found,
        path=context.paths.zone_dir(name),
        config=config,
        shared=_shared(found, config),
        group=tree.path(group) if group else None,
        pids=tuple(tree.processes(group)) if group and live else (),
        stats=tree.stats(group) if group and live else None,
        pressure=tree.pressure(group) if group and live else None,
        mounts=tuple(proc.mountinfo(found.live.pid, limit_bytes=_MOUNTINFO_BYTES)) if found.live else (),
        degraded=_degraded(context, found),
        hints=tuple(_hints(found)),
        now=time.time(),
    )


def _status(context: Context, name: str) -> ZoneStatus:
    from zonectl.runtime.status import damaged_status, status

    try:
        return status(context, name)
    except StoreError as error:
        return damaged_status(context, name, error.message)


def _config(context: Context, name: str) -> ZoneConfig | None:
    from zonectl.runtime.zones import load_config

    try:
        return load_config(context, name)
    except ZonectlError:  # an incomplete zone has none, a damaged one may have a bad one
        return None


def _group(context: Context, found: ZoneStatus) -> str | None:
    if not context.facts.cgroup.mount or found.record is None:
        return None
    return zone_cgroup(context.instance, found.record.id)


def _shared(found: ZoneStatus, config: ZoneConfig | None) -> tuple[str, ...]:
    """The kinds of namespace that the zone shares with the host: by the kernel while it lives, else by its file."""
    if found.live is not None:
        ours, theirs = proc.namespace_ids("self"), proc.namespace_ids(found.live.pid)
        return tuple(kind for kind in KINDS if kind in theirs and theirs[kind] == ours.get(kind))
    if config is None:
        return ()
    return tuple(kind for kind in KINDS if not getattr(config.namespaces, kind))


def _hints(found: ZoneStatus) -> Iterator[str]:
    name = found.name
    match found.state:
        case _ if found.damaged:
            yield f"what is kept of it is damaged: zonectl delete -f {name}"
        case ZoneState.INCOMPLETE:
            yield f"a create or delete was interrupted: zonectl delete {name}, or create it again"
        case ZoneState.PAUSED:
            yield f"zonectl resume {name}"
        case ZoneState.READY:
            yield f"zonectl start {name}"
        case ZoneState.SHUTTING_DOWN:
            yield f"zonectl wait {name}, or zonectl stop -t 0 {name}"
    if found.last and found.last.oom_kills and found.live is None:
        yield "processes were killed for memory: raise resources.memory"


def _degraded(context: Context, found: ZoneStatus) -> tuple[str, ...]:
    """What somebody has taken away from a zone that has processes."""
    from zonectl.runtime.health import Checkup

    return Checkup(context).ailments(found)
