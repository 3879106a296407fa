"""What has no owner: found by name in the kernel and on disk, also where no state file is left, and removed.

Groups and links bear the id of their zone, bridges and tables the mark of their instance, temporary files the pid of
their process, the folder of a run the id of its zone. So what another instance has is never taken for ours.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from zonectl.cgroups.tree import Tree
from zonectl.errors import StoreError
from zonectl.images import storage
from zonectl.model.instance import link_zone
from zonectl.network import shared, veth
from zonectl.runtime import remains, settle
from zonectl.store import documents, records
from zonectl.store.locks import is_held

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zonectl.runtime.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbage:
    """Something that has no owner: what it is, its name, and how it is removed; twice is fine."""

    kind: str
    name: str
    remove: Callable[[], object]


def find(context: Context) -> list[Garbage]:
    """All that has no owner, in the order in which it is to be removed. Nothing is changed.

    What a command works on at the moment is its own: it holds the zone's lock. While a record is damaged, groups, ids
    and addresses may be that zone's, and are left alone.

    Raises:
        SyscallError: the kernel cannot be asked.
        StoreError: a folder cannot be read.

    """
    finders = (_dead, _held, _links, _files, _shared, _group)
    return [garbage for finder in finders for garbage in finder(context)]


def _dead(context: Context) -> Iterator[Garbage]:
    """What zones have left whose init has ended unseen, runs that were killed, and zones that never came to be."""
    for name in settle.names(context):
        with suppress(StoreError):  # one with a damaged record is there until it is deleted
            if kind := settle.left_behind(context, name):
                yield Garbage(kind=kind, name=name, remove=partial(settle.clean_up, context, name))


def _held(context: Context) -> Iterator[Garbage]:
    for holding in remains.unowned(context):
        remove = partial(remains.release, context, holding.zone_id)
        yield Garbage(kind=holding.kind, name=holding.name, remove=remove)


def _links(context: Context) -> Iterator[Garbage]:
    """Links whose namespace somebody holds; others go with the last process of their zone's group."""
    found = {port: zone_id for port in shared.ports(context.instance) if (zone_id := link_zone(port))}
    there = remains.owners(context)
    for port, zone_id in found.items():
        if there is not None and zone_id not in there:
            yield Garbage(kind="link", name=port, remove=partial(veth.remove, port))


def _files(context: Context) -> Iterator[Garbage]:
    paths = context.paths
    folders = [paths.root, paths.zones_dir, paths.run_dir, paths.run_zones_dir]
    for name in settle.names(context):
        folders += (paths.zone_dir(name), paths.run_zone_dir(name))
    for path in (path for folder in folders for path in documents.leftovers(folder)):
        yield Garbage(kind="temporary file", name=path, remove=partial(_unlink, path))
    for path in storage.leftovers(paths):
        yield Garbage(kind="broken-off import", name=path, remove=partial(storage.discard, path))


def _unlink(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)


def _shared(context: Context) -> Iterator[Garbage]:
    """What the zones shared, once there are none, and nobody is about to make one."""
    if not records.list_names(context.paths) and not is_held(context.paths.shared_lock):
        for kind, name in shared.left(context.instance):
            yield Garbage(kind=kind, name=name, remove=partial(remains.teardown_when_last, context))


def _group(context: Context) -> Iterator[Garbage]:
    """The instance's group that a killed zoned has left, once there are no zones."""
    if not context.facts.cgroup.mount or records.list_names(context.paths):
        return
    tree, group = Tree(context.facts.cgroup), context.instance.cgroup
    of_zones = {pid for zone_id in tree.children(group) for pid in tree.processes(f"{group}/{zone_id}")}
    if tree.exists(group) and not set(tree.processes(group)) - of_zones:
        yield Garbage(kind="control group", name=group, remove=partial(tree.prune, group))
