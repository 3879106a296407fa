"""What zones hold of something scarce (id ranges, addresses): a durable part and one for zones of `run`.

Both parts are read under one lock, so that nothing is given twice; only the part that changes is written.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zonectl.errors import Damaged, StoreError
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
    """One document: `held` maps what is held to its zone's id; `cursor` is where the last search ended.

    `damage` is why the document could not be read; `held` is then what the zones' records say.
    """

    path: str
    held: dict[str, str]
    cursor: str | None
    changed: bool = False
    damage: str = ""

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
class Claims:
    """What the zones' records say that zones hold: key and zone id, of created zones and of runs.

    Of the zones `unknown` nothing is known: they are being made or deleted, or their records are damaged.
    """

    durable: dict[str, str]
    volatile: dict[str, str]
    unknown: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Where a ledger is kept. `check` raises ValueError for what cannot be held; `claims` stand in for what is lost."""

    durable: str
    volatile: str
    lock_file: str
    check: Callable[[str], object]
    claims: Callable[[], Claims]

    def read(self) -> Parts:
        """Both parts, without the lock: each is whole, but the other may have changed since.

        Raises:
            StoreError: one cannot be read, or is newer.

        """
        return Parts(self._part(self.durable), self._part(self.volatile))

    def _part(self, path: str) -> Part:
        try:
            return _load(path, self.check)
        except Damaged as error:
            claims = self.claims()
            held = claims.durable if path == self.durable else claims.volatile
            return Part(path, dict(held), None, damage=error.message)

    @contextmanager
    def changing(self, *, verb: str, zone: str, takes: bool = True) -> Iterator[Parts]:
        """Both parts under the lock; what was changed is written at the end, unless something was raised.

        A damaged document is set aside, and made again from the zones' records. While what another zone holds is in
        none of those, nothing can be taken, and what is given back needs no writing: no record claims it any more.

        Raises:
            Busy: the lock was held too long.
            StoreError: a document is newer or cannot be written, or is damaged and cannot be made again.

        """
        with lock(self.lock_file, verb=verb, zone=zone, timeout_s=TIMEOUT_S):
            parts = self.read()
            damage = parts.durable.damage or parts.volatile.damage
            unknown = _others(self.claims(), zone) if damage else []
            if unknown and takes:
                hint = f"zonectl delete -f {unknown[0]}"
                raise StoreError(f"{damage}; and what the zone {unknown[0]} holds is not known", hint=hint)
            yield parts
            if not unknown:
                self._write(parts)

    def _write(self, parts: Parts) -> None:
        for part in (parts.durable, parts.volatile):
            if part.damage:
                _set_aside(part)
        if parts.durable.changed:
            documents.sweep(os.path.dirname(self.durable))
            documents.write_json(self.durable, _document(parts.durable))
        if parts.volatile.changed:
            documents.write_volatile(self.volatile, _document(parts.volatile))


def _others(claims: Claims, zone: str) -> list[str]:
    """The names of the zones of which nothing is known, but for the one that this is for; a run's name holds its id."""
    return [
        name for name, zone_id in claims.unknown.items() if zone_id != zone and not name.endswith(f"-{zone}")
    ]


def _set_aside(part: Part) -> None:
    """Keep the damaged document under another name, for whoever wants to know what happened to it."""
    aside = f"{part.path}.damaged-{time.strftime('%Y%m%dT%H%M%S')}"
    try:
        os.rename(part.path, aside)
    except OSError as error:
        raise StoreError(f"cannot set aside {part.path}: {error.strerror}") from error
    part.damage = f"{part.damage} (kept as {os.path.basename(aside)})"
    part.changed = True


def _document(part: Part) -> dict[str, object]:
    note = {"made_again": part.damage} if part.damage else {}
    return {"schema_version": SCHEMA_VERSION, "held": part.held, "cursor": part.cursor, **note}


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
        raise Damaged(f"{path} is damaged: {error}") from error
    return Part(path, held, cursor)
