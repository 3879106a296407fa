"""delete: from a zone to nothing."""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import TYPE_CHECKING

from zonectl.errors import NoSuchZone, StoreError
from zonectl.runtime import zones
from zonectl.runtime.remains import discard, discard_damaged, teardown_when_last
from zonectl.runtime.settle import sweep
from zonectl.runtime.status import require, status
from zonectl.runtime.stop import cut_short, end_init
from zonectl.store import documents, records

if TYPE_CHECKING:
    from zonectl.model.record import ZoneRecord
    from zonectl.runtime.context import Context


def delete(context: Context, name: str, *, force: bool = False) -> None:
    """Delete the zone `name`; with `force` it is killed first, and one with a damaged record is removed as well.

    Raises:
        NoSuchZone: there is none.
        StateError: it has processes, and `force` is not set.
        StoreError: its record is damaged and `force` is not set, or a file cannot be removed.

    """
    if force:
        cut_short(context, name)
    with zones.locked(context, name, "delete"):
        try:
            _delete(context, name, force=force)
        except StoreError:
            if not (force and _is_damaged(context, name)):
                raise
            discard_damaged(context, name)
    teardown_when_last(context)


def _delete(context: Context, name: str, *, force: bool) -> None:
    found = status(context, name) if force else require(context, name, "delete")
    if found.record is None:
        return
    if found.damaged and not force:  # nobody knows whether it runs
        raise StoreError(found.damaged, zone=name, hint=f"zonectl delete -f {name}")
    if found.live is not None:
        end_init(context, found.record, found.live, number=signal.SIGKILL, wait_s=0)
    sweep(context, found.record)
    # From here on it is half gone: only another delete may touch it.
    if found.record.installed and not found.record.ephemeral:
        _mark(context, found.record)
    discard(context, found.record)


def _mark(context: Context, record: ZoneRecord) -> None:
    try:
        records.save_record(context.paths, replace(record, installed=False))
    except StoreError:
        # On a full disk nothing can be written, but removed: without its file the zone cannot start either.
        documents.remove(context.paths.zone_file(record.name), volatile=True)


def _is_damaged(context: Context, name: str) -> bool:
    try:
        records.load_record(context.paths, name)
    except NoSuchZone:
        return False
    except StoreError:
        return True
    return False
