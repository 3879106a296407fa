"""Ranges of host ids that zones hold: no id is shared by two zones, nor by a zone and a user of the host.

docs/adr/0040-durable-state.md tells how instances keep apart.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from zonectl.errors import StoreError
from zonectl.model.ids import MAX_ID, ZONE_IDS, IdRange
from zonectl.store import documents
from zonectl.store.claims import claims
from zonectl.store.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from zonectl.model.instance import Instance
    from zonectl.model.record import ZoneRecord
    from zonectl.store.ledger import Parts
    from zonectl.store.paths import Paths

BASE = 1_000_000_000
"""The first id that zones get: above what login.defs(5), NSS services and systemd give out."""

SUBORDINATE_FILES = ("/etc/subuid", "/etc/subgid")

_SLOTS = (MAX_ID + 1 - BASE) // ZONE_IDS
_DEFAULT_SLOTS = 16384
_REGION_SLOTS = 1024


@dataclass(frozen=True, slots=True)
class Region:
    """The slots that one instance allocates from; slot N is the range that begins at BASE + N * 65536."""

    first: int
    count: int


def region(instance: Instance) -> Region:
    """Where the instance allocates: the first 16384 slots for the default one, for others 1024 chosen by id."""
    if not instance.id:
        return Region(0, _DEFAULT_SLOTS)
    # Any slot may be the first: two instances of a few zones each then meet less often than in fixed regions.
    starts = _SLOTS - _DEFAULT_SLOTS - _REGION_SLOTS + 1
    return Region(_DEFAULT_SLOTS + int(instance.id, 16) % starts, _REGION_SLOTS)


def allocate(
    paths: Paths, zone_id: str, foreign: Sequence[IdRange] | None = None, *, volatile: bool = False
) -> IdRange:
    """A range of 65536 ids, which the zone holds until `release`; one that holds a range gets it again.

    Ranges in `foreign` are avoided (None: those of /etc/subuid and /etc/subgid), and one that was released is
    used again only after all others. A `volatile` range does not outlive the boot, and syncs nothing.

    Raises:
        StoreError: no range is left, or the ranges cannot be read or written.
        Busy: they were locked for too long.

    """
    avoided = subordinate_ranges() if foreign is None else foreign
    with _ledger(paths).changing(verb="allocate", zone=zone_id) as parts:
        held = parts.of(zone_id)
        if held:
            return _range(int(held[0]))
        slot = _pick(parts, region(paths.instance), avoided, volatile=volatile)
        (parts.volatile if volatile else parts.durable).take(str(slot), zone_id)
    return _range(slot)


def release(paths: Paths, zone_id: str) -> None:
    """Take back the range of the zone; it may hold none.

    Raises:
        StoreError: the ranges cannot be read or written.
        Busy: they were locked for too long.

    """
    with _ledger(paths).changing(verb="release", zone=zone_id, takes=False) as parts:
        parts.drop(zone_id)


def ranges(paths: Paths) -> dict[str, IdRange]:
    """The range of each zone, by zone id.

    Raises:
        StoreError: the ranges cannot be read.

    """
    parts = _ledger(paths).read()
    both = (*parts.durable.held.items(), *parts.volatile.held.items())
    return {zone_id: _range(int(slot)) for slot, zone_id in both}


def subordinate_ranges(files: Sequence[str] = SUBORDINATE_FILES) -> list[IdRange]:
    """The ranges that users of the host have (subuid(5)); lines that cannot be read give none."""
    found: list[IdRange] = []
    for file in files:
        for line in (documents.read_text(file) or "").splitlines():
            # Not three fields, no numbers, no range: useradd would ignore the line as well.
            with suppress(ValueError):
                _user, first, count = line.split(":")
                found.append(IdRange(first=int(first), count=int(count)))
    return found


def _ledger(paths: Paths) -> Ledger:
    return Ledger(
        durable=paths.ids_file,
        volatile=paths.run_ids_file,
        lock_file=paths.ids_lock,
        check=_slot,
        claims=partial(claims, paths, _claimed),
    )


def _claimed(record: ZoneRecord) -> str | None:
    return str((record.ids.first - BASE) // ZONE_IDS) if record.ids else None


def _slot(key: str) -> IdRange:
    return _range(int(key))


def _range(slot: int) -> IdRange:
    return IdRange(first=BASE + slot * ZONE_IDS)


def _pick(parts: Parts, region: Region, foreign: Iterable[IdRange], *, volatile: bool) -> int:
    part = parts.volatile if volatile else parts.durable
    # Zones of `run` come and go: they search in the upper half, and leave the order of the lower alone.
    start = region.first + (region.count // 2 if volatile else 0)
    if part.cursor is not None and region.first <= int(part.cursor) < region.first + region.count:
        start = int(part.cursor) + 1
    for step in range(region.count):
        slot = region.first + (start - region.first + step) % region.count
        if parts.holder(str(slot)) is None and not any(_range(slot).overlaps(other) for other in foreign):
            return slot
    raise StoreError("no range of ids is left", hint="delete zones that are not needed")
