"""run: an ephemeral zone in the foreground, from nothing and back to nothing."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from zonectl import config as zone_files
from zonectl.errors import SyscallError
from zonectl.kernel import process
from zonectl.planning import warnings
from zonectl.runtime import filters, roots, zones
from zonectl.runtime.create import allocate, begin
from zonectl.runtime.initial import Equipment
from zonectl.runtime.launch import launch, open_reaper
from zonectl.runtime.remains import discard, teardown_when_last
from zonectl.runtime.settle import sweep
from zonectl.runtime.undo import Undo
from zonectl.runtime.zones import Zone
from zonectl.store import documents, records, room
from zonectl.store.locks import lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zonectl.kernel.process import ExitStatus
    from zonectl.model.config import ZoneConfig
    from zonectl.model.record import ZoneRecord
    from zonectl.planning import ZonePlan
    from zonectl.runtime.context import Context
    from zonectl.runtime.frontend import Frontend
    from zonectl.runtime.launch import Launched
    from zonectl.runtime.learning.recording import Recorder


def run(
    context: Context, config: ZoneConfig, frontend: Frontend, *, terminal_type: str | None = None
) -> ExitStatus:
    """Run a zone of `config` until its program ends; with `terminal_type` it has a pty. Nothing of it is left.

    The zone is named after the file's with an id behind it, so that any number of them run at once. It dies with
    this process, and what a kill leaves of it is removed by the next recovery.

    Raises:
        ProgramError: the program cannot be executed.
        ZonectlError: as create and start.

    """
    try:
        return run_one(context, config, frontend, terminal_type=terminal_type)
    finally:
        # With zoned there, what zones share is kept for the next run until zoned leaves.
        if context.warden is None:
            teardown_when_last(context)


def run_one(
    context: Context,
    config: ZoneConfig,
    frontend: Frontend,
    *,
    terminal_type: str | None = None,
    recorder: Recorder | None = None,
    reshape: Callable[[ZonePlan], ZonePlan] | None = None,
) -> ExitStatus:
    """As `run`, of several in a row: what zones share is left to the caller, who ends with `teardown_when_last`.

    With a `recorder` its system calls are watched; `reshape` makes another plan of the one that its file asks for.
    """
    making = running(
        context, config, frontend, terminal_type=terminal_type, recorder=recorder, reshape=reshape
    )
    with making as launched:
        return frontend.wait(launched.pidfd, _deliverer(launched.pidfd))


@contextmanager
def running(
    context: Context,
    config: ZoneConfig,
    frontend: Frontend,
    *,
    terminal_type: str | None = None,
    recorder: Recorder | None = None,
    reshape: Callable[[ZonePlan], ZonePlan] | None = None,
) -> Iterator[Launched]:
    """The zone of `run_one` while its program runs: it is killed at the end of the block, and nothing of it is left.

    With `reshape` it may be weaker than its file says, and is for programs of zonectl's own alone then.
    """
    context.paths.ensure()
    room.require(context.paths.run_dir, context.paths.root)
    record = replace(begin(config, ephemeral=True), warnings=warnings(config, context.facts))
    name = zones.derived_name(config.name, record.id)
    record = replace(record, name=name)
    config = replace(config, name=name, hostname=config.hostname or config.name)
    # The zone's lock is not held while it runs: others may stop, pause or change it.
    with Undo() as undo, lock(context.paths.caller_lock(name), verb="run", zone=name, timeout_s=0):
        with zones.locked(context, name, "run", known=False):
            undo.callback(_clear_away, context, record)
            zone = _install(context, config, record)
            plan = zones.plan_of(context, zone)
            if reshape is not None:
                plan = reshape(plan)
            launched = _launch(
                context,
                zone,
                plan,
                frontend=frontend,
                undo=undo,
                terminal_type=terminal_type,
                recorder=recorder,
            )
        yield launched


def _install(context: Context, config: ZoneConfig, record: ZoneRecord) -> Zone:
    """What create does, without syncing anything, and without the files of `_write_down`."""
    name = record.name
    records.make_folder(context.paths, name)
    record = allocate(context, config, record)
    zone_dir = context.paths.zone_dir(name)
    below = roots.below(context, config)
    roots.install(config, below, zone_dir)
    record = replace(record, layers=roots.stands_on(config, below), installed=True)
    filters.keep(context, config, name, volatile=True)
    return Zone(record=record, config=config)


def _write_down(context: Context, zone: Zone) -> None:
    """Write zone file and record, once: until then the folder's name says whose the leases and the group are."""
    name = zone.record.name
    documents.write_text(context.paths.zone_file(name), zone_files.dumps(zone.config), volatile=True)
    with roots.kept(context, zone.record.layers):
        records.save_record(context.paths, zone.record)


def _launch(
    context: Context,
    zone: Zone,
    plan: ZonePlan,
    *,
    frontend: Frontend,
    undo: Undo,
    terminal_type: str | None,
    recorder: Recorder | None,
) -> Launched:
    equipment = _equipment(zone, frontend, undo, terminal_type=terminal_type)
    equipment = replace(equipment, watched=recorder is not None)
    height = undo.height
    launched = launch(
        context,
        zone.record.name,
        plan,
        equipment=equipment,
        undo=undo,
        meanwhile=lambda: _write_down(context, zone),
    )
    # What a failed start undoes step by step is found by the zone's names when it is cleared away.
    undo.instead(height, launched.end)
    if recorder is not None:
        # Before that: an init whose tracer was stopped could not be waited for.
        undo.callback(recorder.give_up)
    if launched.master is not None:
        frontend.attach(launched.master)
    if recorder is None:
        launched.execute()
    else:
        recorder.execute(launched)
    return launched


def _deliverer(pidfd: int) -> Callable[[int], None]:
    def deliver(number: int) -> None:
        with suppress(SyscallError):
            process.pidfd_send_signal(pidfd, number)

    return deliver


def _clear_away(context: Context, record: ZoneRecord) -> None:
    """Remove all of the zone; a stop or a recovery may have done so already."""
    with zones.locked(context, record.name, "run", known=False):
        sweep(context, record)
        discard(context, record)


def _equipment(zone: Zone, frontend: Frontend, undo: Undo, *, terminal_type: str | None) -> Equipment:
    equipment = Equipment(env=zone.config.env, bound_to_parent=True)
    if terminal_type is None:
        equipment = replace(equipment, streams=frontend.streams())
        frontend.keep_signals()
    else:
        equipment = replace(equipment, window=frontend.window, terminal_type=terminal_type)
    if zone.config.init:
        reaper = open_reaper()
        undo.callback(os.close, reaper)
        equipment = replace(equipment, reaper=reaper)
    return equipment
