"""What zones hold by their own records: what a damaged ledger is made again from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.store import records
from zonectl.store.ledger import Claims

if TYPE_CHECKING:
    from collections.abc import Callable

    from zonectl.model.record import ZoneRecord
    from zonectl.store.paths import Paths


def claims(paths: Paths, key_of: Callable[[ZoneRecord], str | None]) -> Claims:
    """The claims of all zones; `key_of` gives what a record says that its zone holds.

    A record says so only once its zone is installed.

    Raises:
        StoreError: the folder of zones cannot be read.

    """
    found = Claims(durable={}, volatile={}, unknown={})
    for zone in records.load_all(paths):
        if isinstance(zone, records.Damaged):
            found.unknown[zone.name] = ""
        elif not zone.installed:
            found.unknown[zone.name] = zone.id
        elif (key := key_of(zone)) is not None:
            (found.volatile if zone.ephemeral else found.durable)[key] = zone.id
    return found
