"""The note about a zone that is watched: how often it failed in a row, and when it is to be started again.

It stands beside the zone's other volatile files, so that a zoned that was killed goes on where it was. Whoever stops a
zone that waits to be started again cancels that by removing the note; delete removes it with its folder.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from zonectl.errors import StoreError
from zonectl.kernel import proc
from zonectl.model.names import ZONE_NAME
from zonectl.store import documents
from zonectl.store.fields import Fields

if TYPE_CHECKING:
    from zonectl.store.paths import Paths

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """`started_s` and `due_s` are of CLOCK_MONOTONIC, which nobody sets and all processes of a boot share.

    `due_s` is None while the zone runs.
    """

    boot_id: str
    failures: int = 0
    started_s: float = 0.0
    due_s: float | None = None


def path(paths: Paths, name: str) -> str:
    """Where the note of the zone is."""
    return f"{paths.run_zone_dir(name)}/watch.json"


def save(paths: Paths, name: str, note: Note) -> None:
    """Write the note; not synced, and nothing if the zone's volatile folder is gone.

    Raises:
        StoreError: it cannot be written.

    """
    folder = paths.run_zone_dir(name)
    if not os.path.isdir(folder):
        return
    try:
        documents.write_volatile(path(paths, name), {"schema_version": SCHEMA_VERSION, **asdict(note)})
    except StoreError:
        if os.path.isdir(folder):
            raise
        # A delete has removed it meanwhile, and waits for nobody who only takes notes.


def load(paths: Paths, name: str) -> Note | None:
    """The note of the zone; None if there is none, or none of this boot, or none that can be read."""
    try:
        document = documents.read_optional(path(paths, name), newest=SCHEMA_VERSION)
        note = None if document is None else _note(Fields(path(paths, name), document))
    except StoreError:
        return None
    return note if note and note.boot_id == proc.boot_id() else None


def remove(paths: Paths, name: str) -> None:
    """Remove the note; it may be gone already.

    Raises:
        StoreError: it cannot be removed.

    """
    documents.remove(path(paths, name), volatile=True)


def cancel(paths: Paths, name: str) -> bool:
    """Have the zone not started again: whether it was waiting for that.

    Raises:
        StoreError: the note cannot be removed.

    """
    note = load(paths, name)
    if note is None or note.due_s is None:
        return False
    remove(paths, name)
    return True


def names(paths: Paths) -> list[str]:
    """The zones that have a note, sorted."""
    try:
        found = os.listdir(paths.run_zones_dir)
    except FileNotFoundError:
        return []
    return sorted(name for name in found if ZONE_NAME.match(name) and os.path.exists(path(paths, name)))


def _note(fields: Fields) -> Note:
    due_s = fields.values.get("due_s")
    return Note(
        boot_id=fields.text("boot_id"),
        failures=fields.integer("failures"),
        started_s=fields.number("started_s"),
        due_s=None if due_s is None else fields.number("due_s"),
    )
