"""What a zone has on disk and in the instance's allocators, removed when it is deleted."""

from __future__ import annotations

import os
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zonectl.cgroups.tree import Tree
from zonectl.errors import StoreError
from zonectl.kernel import process
from zonectl.model.instance import zone_cgroup
from zonectl.model.names import ZoneId
from zonectl.network import shared
from zonectl.runtime import zones
from zonectl.runtime.status import open_init
from zonectl.store import documents, folders, idranges, leases, records
from zonectl.store.locks import lock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zonectl.model.record import ZoneRecord
    from zonectl.runtime.context import Context


def discard(context: Context, record: ZoneRecord) -> None:
    """Remove everything that belongs to the zone alone. The caller holds its lock, and its init has ended.

    The record goes last, and the allocators before it: a kill in between leaves a zone that can be deleted again,
    never an id range or an address that belongs to nobody.
    """
    discard_installed(context, record)
    folders.remove(context.paths.run_zone_dir(record.name))


def discard_installed(context: Context, record: ZoneRecord) -> None:
    """As `discard`, but for the run folder: who goes on to work on the name needs the lock that is in it."""
    name = record.name
    folders.remove(context.paths.zone_dir(name), spare=os.path.basename(context.paths.record_file(name)))
    leases.release(context.paths, record.id)
    idranges.release(context.paths, record.id)
    folders.remove(context.paths.zone_dir(name))
    if not record.ephemeral:
        # Or the folder is there again, empty, after a power cut: a zone that nobody can say anything of.
        documents.sync_folder(context.paths.zones_dir)


def is_unborn(context: Context, name: str) -> bool:
    """Whether nothing was ever recorded of `name`, nor made for it: a create, run or delete was killed.

    The record is the first thing in a zone's folder and the last; a folder that holds more but no record is damaged.
    """
    try:
        found = os.listdir(context.paths.zone_dir(name))
    except FileNotFoundError:
        return True
    return all(entry.startswith(documents.TEMPORARY) for entry in found)


def discard_damaged(context: Context, name: str) -> None:
    """Remove the zone `name` that has no record to read: the files by its name, then what its lost id held."""
    _end_init(context, name)
    folders.remove(context.paths.zone_dir(name))
    documents.sync_folder(context.paths.zones_dir)
    folders.remove(context.paths.run_zone_dir(name))
    release_unowned(context)


def release_unowned(context: Context) -> None:
    """Release ids and addresses, and end what runs, of zone ids that no zone has; nothing while a record is damaged."""
    for zone_id in sorted({holding.zone_id for holding in unowned(context)}):
        release(context, zone_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """Something that bears the id of a zone: a control group, an address, a range of ids."""

    kind: str
    name: str
    zone_id: ZoneId


def unowned(context: Context) -> list[Holding]:
    """What bears the id of a zone that is not there; nothing while a record is damaged, since it may be that zone's."""
    # What is held is read before who there is: a new zone has its folder before it holds anything.
    held = list(_holdings(context))
    there = owners(context)
    return [] if there is None else [holding for holding in held if holding.zone_id not in there]


def release(context: Context, zone_id: ZoneId) -> None:
    """End what runs of the zone that was `zone_id`, and take back all that it holds; twice is fine."""
    if context.facts.cgroup.mount:
        Tree(context.facts.cgroup).remove(zone_cgroup(context.instance, zone_id))
    leases.release(context.paths, zone_id)
    idranges.release(context.paths, zone_id)


def owners(context: Context) -> set[str] | None:
    """The ids of the zones that there are; None while one cannot be known, for its record is damaged."""
    found = records.load_all(context.paths)
    if any(isinstance(zone, records.Damaged) and zones.run_id(context, zone.name) is None for zone in found):
        return None
    runs = {zone_id for name in records.list_names(context.paths) if (zone_id := zones.run_id(context, name))}
    return {zone.id for zone in found if not isinstance(zone, records.Damaged)} | runs


def _holdings(context: Context) -> Iterator[Holding]:
    paths, group = context.paths, context.instance.cgroup
    if context.facts.cgroup.mount:
        for found in Tree(context.facts.cgroup).children(group):
            yield Holding(kind="control group", name=f"{group}/{found}", zone_id=ZoneId(found))
    for address, holder in leases.leases(paths).items():
        yield Holding(kind="address", name=address, zone_id=ZoneId(holder))
    for holder, ids in idranges.ranges(paths).items():
        yield Holding(kind="id range", name=f"{ids.first}+{ids.count}", zone_id=ZoneId(holder))


def _end_init(context: Context, name: str) -> None:
    with suppress(StoreError):
        live = records.load_live(context.paths, name)
        pidfd = open_init(live) if live else None
        if pidfd is not None:
            process.kill_and_reap(pidfd)
            os.close(pidfd)


def teardown_when_last(context: Context) -> None:
    """Remove the instance's bridges and tables if none of its zones is left."""
    held = lock(context.paths.shared_lock, verb="delete", zone="network", timeout_s=context.lock_timeout_s)
    with held:
        if records.list_names(context.paths):
            return
        shared.teardown(context.instance, lock=nullcontext())
    if context.facts.cgroup.mount:
        Tree(context.facts.cgroup).discard(context.instance.cgroup)
