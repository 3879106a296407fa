"""create: from a zone file to an installed zone; all that a start must not wait for is done and synced here."""

from __future__ import annotations

import secrets
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from zonectl.errors import ZoneExists
from zonectl.model.config import NetworkMode
from zonectl.model.names import ZoneId
from zonectl.model.record import ZoneRecord
from zonectl.planning import warnings
from zonectl.runtime import filters, roots, zones
from zonectl.runtime.remains import discard, discard_installed, is_unborn
from zonectl.runtime.undo import Undo
from zonectl.store import documents, idranges, leases, records, room

if TYPE_CHECKING:
    from zonectl.model.config import ZoneConfig
    from zonectl.runtime.context import Context


def create(context: Context, config: ZoneConfig, text: str) -> ZoneRecord:
    """Configure and install the zone of `config`, keeping `text` as its zone file.

    What an interrupted create left is taken up again; a create that fails leaves nothing.

    Raises:
        ZoneExists: there is one of that name.
        HostLacks: the host could never start it.
        ImageError: its image is not there or is refused.
        ConfigError: its file of system calls has problems.
        StoreError: no space, no free address, no free ids.

    """
    context.paths.ensure()
    room.require(context.paths.run_dir, context.paths.root)
    refused_or_warned = warnings(config, context.facts)
    name = config.name
    with zones.locked(context, name, "create", known=False):
        _make_way(context, name)
        record = replace(begin(config), warnings=refused_or_warned)
        with Undo() as undo:
            undo.callback(discard, context, record)
            zone_dir = context.paths.zone_dir(name)
            below = roots.below(context, config)
            record = replace(record, layers=below)
            with roots.kept(context, below):
                records.save_record(context.paths, record)
            record = allocate(context, config, record)
            roots.install(config, below, zone_dir)
            roots.sync(config, zone_dir)
            filters.keep(context, config, name)
            documents.write_text(context.paths.zone_file(name), text)
            record = replace(record, layers=roots.stands_on(config, below), installed=True)
            records.save_record(context.paths, record)
            undo.keep()
    return record


def begin(config: ZoneConfig, *, ephemeral: bool = False) -> ZoneRecord:
    """The record of a zone that is about to be installed, with an id of its own."""
    return ZoneRecord(
        id=ZoneId(secrets.token_hex(4)),
        name=config.name,
        installed=False,
        created_at=time.time(),
        ids=None,
        address=None,
        gateway=None,
        layers=(),
        ephemeral=ephemeral,
    )


def allocate(context: Context, config: ZoneConfig, record: ZoneRecord) -> ZoneRecord:
    """The record with a range of ids and an address, as far as the zone needs them; those of a run outlive no boot.

    Raises:
        StoreError: none is free, or the fixed address is another zone's.

    """
    volatile = record.ephemeral
    ids = idranges.allocate(context.paths, record.id, volatile=volatile) if config.namespaces.user else None
    if config.network.mode is not NetworkMode.VETH:
        return replace(record, ids=ids)
    network, gateway = config.network, zones.gateway(config)
    address = leases.lease(
        context.paths,
        record.id,
        network.subnet,
        wanted=str(network.address) if network.address else None,
        reserved=(gateway,) if gateway else (),
        volatile=volatile,
    )
    return replace(record, ids=ids, address=address, gateway=gateway)


def _make_way(context: Context, name: str) -> None:
    """Refuse a name that is taken; remove what an interrupted create or delete left of it."""
    if is_unborn(context, name):
        return
    found = records.load_record(context.paths, name)
    if found.installed:
        raise ZoneExists(name)
    discard_installed(context, found)
