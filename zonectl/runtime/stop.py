"""stop and kill: from any state with processes back to installed."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from zonectl.cgroups.tree import Tree
from zonectl.errors import NoSuchZone, StateError, StoreError, SyscallError, ZonectlError
from zonectl.kernel import proc, process
from zonectl.model.config import Restart
from zonectl.model.instance import zone_cgroup
from zonectl.model.signals import signal_number
from zonectl.model.state import ZoneState
from zonectl.runtime import zones
from zonectl.runtime.remains import discard
from zonectl.runtime.settle import is_zoneds, noted, settle
from zonectl.runtime.status import open_init, require, status
from zonectl.store import documents, records, restarts

if TYPE_CHECKING:
    from zonectl.kernel.process import ExitStatus
    from zonectl.model.record import LiveNote, ZoneRecord
    from zonectl.runtime.context import Context
    from zonectl.runtime.status import ZoneStatus

KILL_S = 10.0
"""How long the end of killed processes is waited for; the kernel may hold one in an uninterruptible call."""


def stop(context: Context, name: str, *, timeout_s: float | None = None) -> None:
    """Ask the zone's init to end by its stop signal, then kill what is left after the timeout.

    `timeout_s` replaces the zone file's; 0 kills at once, also where another stop waits for the zone. An init that
    ignores the signal is not waited for. A zone that waits to be started again by its restart policy is not.

    Raises:
        StateError: nothing runs, nor will.
        ZonectlError: a process does not end even when killed.

    """
    is_cut_short = timeout_s == 0 and cut_short(context, name)
    with zones.locked(context, name, "stop"):
        found = _running(context, name, is_cut_short=is_cut_short)
        if found is None or found.record is None or found.live is None:
            return
        config = zones.load_config(context, name)
        _request(context, name)
        wait_s = config.stop_timeout_s if timeout_s is None else timeout_s
        number = signal_number(config.stop_signal)
        has_zoned = is_zoneds(found.live)
        try:
            exit_status = end_init(context, found.record, found.live, number=number, wait_s=wait_s)
            settle(context, found.record, exit_status)
        except BaseException:
            _leave_off(context, name)
            raise
        if found.record.ephemeral:
            discard(context, found.record)
    if exit_status.unknown and has_zoned and not found.record.ephemeral:
        # `show` is to tell how it ended when this returns.
        noted(context.paths, name, found.live)


def _running(context: Context, name: str, *, is_cut_short: bool) -> ZoneStatus | None:
    """The zone, to be stopped; None where nothing is to be done any more: another stop has, or it has ended."""
    if _call_off(context, name):
        return None
    try:
        return require(context, name, "stop")
    except StateError:
        if is_cut_short or _call_off(context, name):  # it has ended just now
            return None
        raise


def cut_short(context: Context, name: str) -> bool:
    """Kill the init that another stop of the zone waits for, if one does; that one does the rest, under the lock."""
    try:
        found = status(context, name)
    except (NoSuchZone, StoreError):  # who goes on will say so
        return False
    pidfd = open_init(found.live) if found.live and found.state is ZoneState.SHUTTING_DOWN else None
    if pidfd is None:
        return False
    _send(pidfd, signal.SIGKILL)
    os.close(pidfd)
    return True


def _call_off(context: Context, name: str) -> bool:
    """Whether the zone has ended and zoned was to start it again, or to think about it: now it will not.

    Where its policy is never to start it again there is nothing to call off, whether or not zoned has seen its end.
    """
    found = status(context, name)
    if found.record is None or found.live is not None or restarts.load(context.paths, name) is None:
        return False
    if _policy(context, name) is Restart.NO:
        return False
    live = records.load_live(context.paths, name)
    # A note from before a reboot tells of no end that zoned could think about.
    unsettled = live is not None and live.boot_id == proc.boot_id()
    if not unsettled and (found.last is None or found.last.by_user):
        return False  # zoned has yet to see that this end was wanted
    if unsettled:
        _request(context, name)
        settle(context, found.record)
    elif found.last is not None:
        records.save_last(context.paths, name, replace(found.last, by_user=True))
    restarts.remove(context.paths, name)
    return True


def _policy(context: Context, name: str) -> Restart:
    """When zoned starts the zone again: never, where its zone file cannot be read."""
    try:
        return zones.load_config(context, name).restart
    except ZonectlError:
        return Restart.NO


def kill(context: Context, name: str, number: int) -> None:
    """Send the signal `number` to the zone's init, and nothing else: a zone that ends of it counts as ended itself.

    Raises:
        StateError: nothing runs.

    """
    found = require(context, name, "kill")
    pidfd = open_init(found.live) if found.live else None
    if pidfd is None:
        raise ZonectlError("its init has ended", zone=name)
    try:
        process.pidfd_send_signal(pidfd, number)
    finally:
        os.close(pidfd)


def end_init(
    context: Context, record: ZoneRecord, live: LiveNote, *, number: int, wait_s: float
) -> ExitStatus:
    """End the init of `live`: by the signal `number` within `wait_s`, else with its whole group at once.

    Raises:
        ZonectlError: it does not end.

    """
    pidfd = open_init(live)
    if pidfd is None:
        return process.ExitStatus()
    try:
        if wait_s > 0 and _heeds(context, record, live, number=number):
            _send(pidfd, number)
            if exit_status := process.wait_pidfd(pidfd, timeout_s=wait_s):
                return exit_status
        return _kill_all(context, record, pidfd)
    finally:
        os.close(pidfd)


def _heeds(context: Context, record: ZoneRecord, live: LiveNote, *, number: int) -> bool:
    """Whether the signal can end the init: process 1 gets none that it neither handles nor blocks (kill(2))."""
    if live.parked or _is_frozen(context, record):
        return False
    masks = proc.signal_masks(live.pid)
    if masks is None:
        return False
    return masks.handles(number) or masks.blocks(number) or number == signal.SIGKILL


def _kill_all(context: Context, record: ZoneRecord, pidfd: int) -> ExitStatus:
    _send(pidfd, signal.SIGKILL)
    if context.facts.cgroup.mount:
        # cgroup.kill reaches frozen processes too.
        Tree(context.facts.cgroup).kill(zone_cgroup(context.instance, record.id), timeout_s=KILL_S)
    exit_status = process.wait_pidfd(pidfd, timeout_s=KILL_S)
    if exit_status is None:
        hint = "the kernel holds it in a call that cannot be interrupted; see /proc/PID/stack"
        raise ZonectlError("its init does not end", zone=record.name, hint=hint)
    return exit_status


def _send(pidfd: int, number: int) -> None:
    try:
        process.pidfd_send_signal(pidfd, number)
    except SyscallError:
        return  # it has ended, which is what was wanted


def _is_frozen(context: Context, record: ZoneRecord) -> bool:
    if not context.facts.cgroup.mount:
        return False
    return Tree(context.facts.cgroup).is_frozen(zone_cgroup(context.instance, record.id))


def _request(context: Context, name: str) -> None:
    """Say that the user wants the zone to end, and who sees to it: the zone is shutting down while that one lives."""
    me, path = os.getpid(), context.paths.stop_request(name)
    try:
        documents.write_text(path, f"{me} {proc.start_ticks(me)}\n", volatile=True)
    except StoreError:
        # No space: that the user wants it is what must be known, and an empty file may still find room. Without any,
        # the zone is stopped all the same.
        with suppress(OSError):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, documents.FILE_MODE))


def _leave_off(context: Context, name: str) -> None:
    """Say that nobody sees to it any more, in a process that lives on: the user still wants the zone to end."""
    with suppress(StoreError):
        documents.write_text(context.paths.stop_request(name), "\n", volatile=True)
