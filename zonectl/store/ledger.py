"""What zones hold of something scarce (id ranges, addresses): a durable part and one for zones of `run`.

Both parts are read under one lock, so that nothing is given twice; only the part that changes is written.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zonectl.errors import StoreError
from zonectl.model.record import SCHEMA_VERSION
from zonectl.store import documents
from zonectl.store.fields import Fields
from zonectl.store.locks import lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TIMEOUT_S = 30.0
"""The longest wait for the lock: 50 processes that each sync need less than a second."""


@dataclass(slots=True)
class Part:
    """One document: `held` maps what is held to its zone's id; `cursor` is where the last search ended."""

    path: str
    held: dict[str, str]
    cursor: str | None
    changed: bool = False

    def take(self, key: str, zone_id: str) -> None:
        """Give `key` to the zone and let the next search begin behind it."""
        self.held[key] = zone_id
        self.cursor = key
        self.changed = True

    def drop(self, zone_id: str) -> None:
        """Take back what the zone holds."""
        kept = {key: holder for key, holder in self.held.items() if holder != zone_id}
        self.changed = self.changed or len(kept) != len(self.held)
        self.held = kept


@dataclass(frozen=True, slots=True)
class Parts:
    """Both documents of a ledger, as they were read."""

    durable: Part
    volatile: Part

    def holder(self, key: str) -> str | None:
        """The id of the zone that holds `key`."""
        return self.durable.held.get(key) or self.volatile.held.get(key)

    def of(self, zone_id: str) -> list[str]:
        """What the zone holds."""
        both = (*self.durable.held.items(), *self.volatile.held.items())
        return [key for key, holder in both if holder == zone_id]

    def drop(self, zone_id: str) -> None:
        """Take back what the zone holds of either part."""
        self.durable.drop(zone_id)
        self.volatile.drop(zone_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Where a ledger is kept. `check` raises ValueError for what cannot be held."""

    durable: str
    volatile: str
    lock_file: str
    check: Callable[[str], object]

    def read(self) -> Parts:
        """Both parts, without the lock: each is whole, but the other may have changed since.

        Raises:
            StoreError: one is damaged or newer.

        """
        return Parts(_load(self.durable, self.check), _load(self.volatile, self.check))

    @contextmanager
    def changing(self, *, verb: str, zone: str) -> Iterator[Parts]:
        """Both parts under the lock; what was changed is written at the end, unless something was raised.

        Raises:
            Busy: the lock was held too long.
            StoreError: a document is damaged, newer, or cannot be written.

        """
        with lock(self.lock_file, verb=verb, zone=zone, timeout_s=TIMEOUT_S):
            parts = self.read()
            yield parts
            if parts.durable.changed:
                documents.sweep(os.path.dirname(self.durable))
                documents.write_json(self.durable, _document(parts.durable))
            if parts.volatile.changed:
                documents.write_volatile(self.volatile, _document(parts.volatile))


def _document(part: Part) -> dict[str, object]:
    return {"schema_version": SCHEMA_VERSION, "held": part.held, "cursor": part.cursor}


def _load(path: str, check: Callable[[str], object]) -> Part:
    document = documents.read_optional(path, newest=SCHEMA_VERSION)
    if document is None:
        return Part(path, {}, None)
    fields = Fields(path, document)
    table, cursor = fields.table("held"), fields.optional_text("cursor")
    # A line that cannot be read is not skipped: what it held would be given to another zone.
    held = {key: table.text(key) for key in table.values}
    try:
        for key in (*held, *filter(None, [cursor])):
            check(key)
    except ValueError as error:
        raise StoreError(f"{path} is damaged: {error}") from error
    return Part(path, held, cursor)
