"""The state of a zone, derived from the kernel each time it is asked for."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from errno import EINVAL, ENOENT, ESRCH
from typing import TYPE_CHECKING

from zonectl.cgroups.tree import Tree
from zonectl.errors import StateError, StoreError, SyscallError
from zonectl.kernel import proc, process
from zonectl.model.instance import zone_cgroup
from zonectl.model.state import ZoneState, allows, helpful_verb
from zonectl.store import documents, records
from zonectl.store.records import Damaged

if TYPE_CHECKING:
    from zonectl.model.record import LastExit, LiveNote, ZoneRecord
    from zonectl.runtime.context import Context


_NO_PROCESS = (ESRCH, EINVAL, ENOENT)
"""The pid is nobody's; or it is that of a thread by now, which the kernel has told in both ways (pidfd_open(2))."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneStatus:
    """A zone as it is now. `live` is the note of its init where that is verified to be alive.

    `damaged` is the reason why the record cannot be read, and `record` is None then, or why its init's note cannot.
    """

    name: str
    state: ZoneState
    record: ZoneRecord | None
    live: LiveNote | None
    last: LastExit | None
    damaged: str | None = None


def status(context: Context, name: str) -> ZoneStatus:
    """The status of the zone `name`.

    Raises:
        NoSuchZone: there is none.
        StoreError: its record is damaged.

    """
    return _status(context, records.load_record(context.paths, name))


def statuses(context: Context) -> list[ZoneStatus]:
    """The status of every zone, by name; a damaged record hides no other zone."""
    return [_status(context, found) for found in records.load_all(context.paths)]


def require(context: Context, name: str, verb: str) -> ZoneStatus:
    """The status of the zone, if it allows `verb`.

    Raises:
        StateError: it does not; the hint names the verb that would help.

    """
    found = status(context, name)
    if allows(found.state, verb):
        return found
    helpful = helpful_verb(found.state, verb)
    hint = f"zonectl {helpful} {name}" if helpful else None
    raise StateError(zone=name, state=found.state.value, verb=verb, hint=hint)


def open_init(live: LiveNote) -> int | None:
    """A pidfd of the init of `live`, which the caller owns; None when it has ended.

    The pid alone proves nothing, since it may be another process's by now: start time and boot id are compared after
    the descriptor is held.

    Raises:
        SyscallError: nobody knows, for there are no descriptors left, say.

    """
    if live.boot_id != proc.boot_id():
        return None
    try:
        pidfd = process.pidfd_open(live.pid)
    except SyscallError as error:
        if error.errno not in _NO_PROCESS:
            raise
        return None
    if proc.start_ticks(live.pid) == live.start_ticks and not process.pidfd_exited(pidfd):
        return pidfd
    os.close(pidfd)
    return None


def _status(context: Context, found: ZoneRecord | Damaged) -> ZoneStatus:
    if isinstance(found, Damaged):
        last = records.load_last(context.paths, found.name)
        return damaged_status(context, found.name, found.reason, last=last)
    try:
        live = alive(context, found.name)
    except StoreError as error:  # what runs of it is in its group, whoever its init is
        last = records.load_last(context.paths, found.name)
        reason, state = error.message, ZoneState.INCOMPLETE
        return ZoneStatus(name=found.name, state=state, record=found, live=None, last=last, damaged=reason)
    state = _state(context, found, live)
    # Read after the note of its init, which is removed after this is written: no end goes unseen between the two.
    last = records.load_last(context.paths, found.name)
    return ZoneStatus(name=found.name, state=state, record=found, live=live, last=last)


def damaged_status(context: Context, name: str, reason: str, *, last: LastExit | None = None) -> ZoneStatus:
    """The status of a zone whose record cannot be read, for `reason`: its processes may be there all the same."""
    live = None
    with suppress(StoreError):
        live = alive(context, name)
    state = ZoneState.INCOMPLETE
    if live is not None:
        state = ZoneState.READY if live.parked else ZoneState.RUNNING
    return ZoneStatus(name=name, state=state, record=None, live=live, last=last, damaged=reason)


def alive(context: Context, name: str) -> LiveNote | None:
    """The note of the zone's init, if that init is alive."""
    live = records.load_live(context.paths, name)
    pidfd = open_init(live) if live else None
    if pidfd is None:
        return None
    os.close(pidfd)
    return live


def _state(context: Context, record: ZoneRecord, live: LiveNote | None) -> ZoneState:
    if live is None:
        return ZoneState.INSTALLED if record.installed else ZoneState.INCOMPLETE
    if _is_being_stopped(context, record):
        return ZoneState.SHUTTING_DOWN
    if live.parked:
        return ZoneState.READY
    if context.facts.cgroup.mount and _is_frozen(context, record):
        return ZoneState.PAUSED
    return ZoneState.RUNNING


def _is_being_stopped(context: Context, record: ZoneRecord) -> bool:
    """Whether the process that was to stop the zone is still at it; one that was killed has left its request."""
    words = (documents.read_text(context.paths.stop_request(record.name)) or "").split()
    if len(words) != 2 or not words[0].isdecimal():  # noqa: PLR2004 - pid and start time
        return False
    return str(proc.start_ticks(int(words[0]))) == words[1]


def _is_frozen(context: Context, record: ZoneRecord) -> bool:
    return Tree(context.facts.cgroup).is_frozen(zone_cgroup(context.instance, record.id))
