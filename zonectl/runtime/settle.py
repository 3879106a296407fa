"""After the end of a zone's init: what it ended with is written down, and what its start made is removed.

All of it is found by the zone's id and name alone, and all of it may be done twice.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from zonectl.cgroups.tree import Tree
from zonectl.errors import Busy, NoSuchZone, StoreError, ZonectlError
from zonectl.kernel import proc, process
from zonectl.kernel.process import ExitStatus
from zonectl.model.instance import zone_cgroup
from zonectl.model.names import ZONE_NAME, ZoneName
from zonectl.model.record import LastExit, ZoneRecord
from zonectl.runtime import zones
from zonectl.runtime.remains import discard, discard_damaged, is_unborn
from zonectl.runtime.status import alive, open_init
from zonectl.store import documents, records
from zonectl.store.journal import Journal
from zonectl.store.locks import UNKNOWN_HOLDER, is_held, lock

if TYPE_CHECKING:
    from zonectl.model.record import LiveNote
    from zonectl.runtime.context import Context
    from zonectl.store.paths import Paths

ORPHAN_S = 10.0
"""How long the child of a killed command may take to see that it is alone; it holds the zone's lock until then."""

NOTED_S = 15.0
"""How long zoned is given to write down how an init ended that only it can know of."""

_PAUSE_S = 0.01

UNKNOWN = ExitStatus(status=None, signal=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Survivor:
    """A zone whose init is alive and has nobody who watches it. The holder owns `pidfd`."""

    name: str
    pid: int
    pidfd: int


def finish(context: Context, name: str, exit_status: ExitStatus) -> bool:
    """Settle the zone `name` after its init has ended with `exit_status`, which may be unknown; twice is fine.

    False, and nothing is done, when it runs: somebody has started it again.

    Raises:
        Busy: another command works on the zone.
        ZonectlError: something of it cannot be removed.

    """
    with suppress(NoSuchZone), zones.locked(context, name, "settle"):
        record = records.load_record(context.paths, name)
        if alive(context, name) is not None:
            return False
        settle(context, record, exit_status)
    return True


def settle(context: Context, record: ZoneRecord, exit_status: ExitStatus = UNKNOWN) -> None:
    """Write down how the zone's init ended and remove what its start made. The caller holds the zone's lock."""
    if record.ephemeral:
        pass  # its status is its run's own, and its folder is about to go
    elif records.load_live(context.paths, record.name) is None:
        _amend(context, record.name, exit_status)
    else:
        _write_down(context, record, exit_status)
    sweep(context, record)


def sweep(context: Context, record: ZoneRecord) -> None:
    """Remove what a start of the zone made, whether it succeeded or was killed. The caller holds the zone's lock.

    The link needs no removal: it goes with the network namespace, whose last process is in the group.
    """
    if context.facts.cgroup.mount:
        Tree(context.facts.cgroup).remove(zone_cgroup(context.instance, record.id))
    records.remove_live(context.paths, record.name)
    with suppress(FileNotFoundError):
        os.unlink(context.paths.stop_request(record.name))
    Journal(context.paths.journal_file(record.name)).clear()


def is_zoneds(live: LiveNote) -> bool:
    """Whether zoned is the parent of that init, or a worker that leaves it to zoned, which will hear how it ended.

    One that a later zoned has found running has another parent.
    """
    parent = proc.parent_pid(live.pid)
    name = proc.command_name(parent) if parent is not None else None
    return name is not None and name.startswith("zoned")


def noted(paths: Paths, name: str, live: LiveNote) -> ExitStatus:
    """What the parent of the zone's init has seen and written down, for kernels that tell nobody else (before 6.15).

    Unknown where it does not do so in time. Not under the zone's lock, which its parent takes for that.
    """
    deadline = time.monotonic() + NOTED_S
    while time.monotonic() < deadline:
        try:
            last = records.load_last(paths, name)
        except NoSuchZone:
            break
        if last and last.ended_at >= live.started_at:
            ended = ExitStatus(status=last.status, signal=last.signal)
            if not ended.unknown:
                return ended
        time.sleep(_PAUSE_S)
    return UNKNOWN


def survivors(context: Context) -> list[Survivor]:
    """The zones whose init is alive, each with a pidfd that the caller owns."""
    found = []
    for name in records.list_names(context.paths):
        try:
            live = records.load_live(context.paths, name)
        except StoreError:  # nobody can tell who its init is; `list` says so
            continue
        pidfd = open_init(live) if live else None
        if live and pidfd is not None:
            found.append(Survivor(name=name, pid=live.pid, pidfd=pidfd))
    return found


def recover(context: Context) -> list[ZonectlError]:
    """Settle every zone whose init has ended unseen, and remove what killed commands left; returns what failed.

    A zone that a command works on at the moment is left to it.
    """
    documents.sweep(context.paths.run_dir)
    failures = []
    for name in names(context):
        try:
            clean_up(context, name)
        except ZonectlError as error:
            failures.append(error)
    return failures


def names(context: Context) -> list[str]:
    """Zones on disk, and what only has a folder in the run root."""
    running: list[str] = []
    with suppress(FileNotFoundError):
        running = [name for name in os.listdir(context.paths.run_zones_dir) if ZONE_NAME.match(name)]
    return sorted({*records.list_names(context.paths), *running})


def left_behind(context: Context, name: str) -> str:
    """What `clean_up` would find of `name`, in words; "" for nothing. Only looks."""
    if is_held(context.paths.lock_file(name)):
        return ""
    live = alive(context, name)
    is_run = zones.run_id(context, name) is not None
    if live is not None:
        return "killed run" if _is_orphan(context, name) else ""
    if is_unborn(context, name):
        return "killed run" if is_run else "folder of no zone"
    record = _unrecorded(context, name) or records.load_record(context.paths, name)
    if record.ephemeral:
        return "killed run"
    return "remains of a zone's last start" if _was_started(context, record) else ""


def _was_started(context: Context, record: ZoneRecord) -> bool:
    """Whether there is something of a start of the zone, which is over."""
    paths, name = context.paths, record.name
    files = (paths.live_file(name), paths.journal_file(name), paths.stop_request(name))
    if any(os.path.lexists(path) for path in files):
        return True
    group = zone_cgroup(context.instance, record.id)
    return bool(context.facts.cgroup.mount) and Tree(context.facts.cgroup).exists(group)


def clean_up(context: Context, name: str) -> None:
    """Settle the zone `name` if its init has ended unseen, and remove what a killed command left of it.

    Raises:
        Busy: a command works on it.
        ZonectlError: something of it cannot be removed.

    """
    try:
        _recover(context, name, timeout_s=0)
    except Busy as busy:
        if busy.holder == UNKNOWN_HOLDER:
            _recover(context, name, timeout_s=ORPHAN_S)


def _recover(context: Context, name: str, *, timeout_s: float) -> None:
    with lock(context.paths.lock_file(name), verb="recover", zone=name, timeout_s=timeout_s):
        live = alive(context, name)
        if live is not None and not _is_orphan(context, name):
            return
        if is_unborn(context, name) and zones.run_id(context, name) is None:
            discard_damaged(context, name)
            return
        record = _unrecorded(context, name) or records.load_record(context.paths, name)
        if live is not None:
            # It has been sent the signal of its parent's death, and takes a moment.
            _end(live)
        settle(context, record)
        if record.ephemeral:
            discard(context, record)


def _is_orphan(context: Context, name: str) -> bool:
    """Whether the zone is a run's, and that run has been killed."""
    if not os.path.lexists(context.paths.caller_lock(name)):
        return False
    try:
        with lock(context.paths.caller_lock(name), verb="recover", zone=name, timeout_s=0):
            return True
    except Busy as busy:
        return busy.holder == UNKNOWN_HOLDER


def _end(live: LiveNote) -> None:
    pidfd = open_init(live)
    if pidfd is not None:
        process.kill_and_reap(pidfd)
        os.close(pidfd)


def _unrecorded(context: Context, name: str) -> ZoneRecord | None:
    """What is known of a run that was killed before its record was written: its name holds its id."""
    zone_id = zones.run_id(context, name)
    if zone_id is None or os.path.lexists(context.paths.record_file(name)):
        return None
    return ZoneRecord(
        id=zone_id,
        name=ZoneName(name),
        installed=False,
        created_at=0.0,
        ids=None,
        address=None,
        gateway=None,
        layers=(),
        ephemeral=True,
    )


def _write_down(context: Context, record: ZoneRecord, exit_status: ExitStatus) -> None:
    last = LastExit(
        ended_at=time.time(),
        status=exit_status.status,
        signal=exit_status.signal,
        by_user=os.path.exists(context.paths.stop_request(record.name)),
    )
    last = _with_memory(context, record, last)
    # On a full disk: how it ended is not worth failing what must be undone.
    with suppress(StoreError):
        records.save_last(context.paths, record.name, last)


def _amend(context: Context, name: str, exit_status: ExitStatus) -> None:
    # A stop has settled the zone before its parent could say how its init ended.
    last = records.load_last(context.paths, name)
    if last is None or exit_status.unknown or last.status is not None or last.signal is not None:
        return
    amended = replace(last, status=exit_status.status, signal=exit_status.signal)
    records.save_last(context.paths, name, amended)


def _with_memory(context: Context, record: ZoneRecord, last: LastExit) -> LastExit:
    """With what the zone's group, which is about to be removed, says of processes killed for memory."""
    if not context.facts.cgroup.mount:
        return last
    memory = Tree(context.facts.cgroup).stats(zone_cgroup(context.instance, record.id)).memory
    if memory is None or not memory.events.oom_kill:
        return last
    return replace(
        last,
        oom_kills=memory.events.oom_kill,
        memory_max_bytes=memory.max_bytes,
        memory_peak_bytes=memory.peak_bytes,
    )
