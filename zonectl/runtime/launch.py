"""Bringing a zone up: the worker's side of the handshake with init."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zonectl.errors import HostLacks, ZonectlError
from zonectl.kernel import proc, process
from zonectl.model.record import LiveNote
from zonectl.namespaces.steps.process import clone_flag
from zonectl.runtime import entry
from zonectl.runtime.effects import Effects, payload
from zonectl.runtime.handshake import Channel
from zonectl.runtime.initial import Equipment, script
from zonectl.runtime.siblings import Siblings, pidfd_of
from zonectl.security import ranks
from zonectl.store import records

if TYPE_CHECKING:
    from collections.abc import Callable

    from zonectl.planning import ZonePlan
    from zonectl.runtime.context import Context
    from zonectl.runtime.undo import Undo

_KILLED = (signal.SIGKILL, signal.SIGSYS)
"""By whoever kills, the memory limit among them, and by a filter of system calls."""

CATATONIT = "/usr/bin/catatonit"


@dataclass(slots=True, kw_only=True)
class Launched:
    """An init that is ready: its platform is up and it waits for `execute`. `master` is the pty's, if it has one.

    The holder owns `pidfd`, `master` and the channel.
    """

    pid: int
    pidfd: int
    channel: Channel
    master: int | None

    def execute(self) -> None:
        """Say the word, and wait until init has become the zone's program.

        Raises:
            ProgramError: the program cannot be executed.
            ZonectlError: a restriction cannot be applied.

        """
        self.channel.bid("EXEC")
        self.channel.expect_end()
        self.channel.close()
        see_executed(self.pid, self.pidfd)

    def end(self) -> None:
        """Kill init, wait for its end, and close what belongs to the holder but the pty's master."""
        self.channel.close()
        process.end_child(self.pidfd)


def launch(
    context: Context,
    name: str,
    plan: ZonePlan,
    *,
    equipment: Equipment,
    undo: Undo,
    writable: bool = False,
    meanwhile: Callable[[], None] = lambda: None,
) -> Launched:
    """Make the zone's platform and its init, up to where init is ready.

    Everything made is undone by `undo`; the zone's note of its init is written, so that whoever comes after a kill
    at any moment finds it. `writable` is noted there: an immutable root was left writable. `meanwhile` is done while
    the kernel makes init, before that is given anything.

    Raises:
        ZonectlError: a step failed; `undo` has not been run.

    """
    ranks.require(plan.rank)
    effects = Effects(context, name, undo)
    effects.share_before_link(plan.shared)
    effects.limit(plan.before)

    def busy() -> bytes:
        meanwhile()
        return script(plan)

    pid, pidfd, ours, written = _make_init(context, plan, equipment, undo=undo, busy=busy)
    try:
        _serve(effects, plan, ours, pid=pid, written=written)
        ticks = _start_ticks(name, pid)
        master = _answer(ours, plan, equipment, pid=pid)
    except ZonectlError as error:
        # Where init has failed meanwhile, what failed here is only that it is gone.
        cause = ours.overhear()
        if cause is None:
            raise
        raise cause from error
    note = LiveNote(
        pid=pid,
        start_ticks=ticks,
        boot_id=proc.boot_id(),
        started_at=time.time(),
        parked=equipment.door is not None,
        writable=writable,
    )
    records.save_live(context.paths, name, note)
    undo.callback(records.remove_live, context.paths, name)
    if note.parked:
        ours.bid("PARKED")
    return Launched(pid=pid, pidfd=pidfd, channel=ours, master=master)


def _serve(effects: Effects, plan: ZonePlan, channel: Channel, *, pid: int, written: bytes) -> None:
    """The host's part of a start, beside init's own."""
    with ExitStack() as held:
        effects.map_ids(plan.maps, pid=pid)
        channel.say("IDS")
        entry.send(channel, "SCRIPT", written)
        channel.send_trees(effects.trees(plan.trees, pid=pid, held=held))
        effects.link(plan.links, pid=pid)
        channel.say("LINKS")
        effects.limit(plan.devices)
        ranks.apply(plan.rank, pid)


def _make_init(
    context: Context, plan: ZonePlan, equipment: Equipment, *, undo: Undo, busy: Callable[[], bytes]
) -> tuple[int, int, Channel, bytes]:
    """Make init: its pid, its pidfd and its channel; and what `busy` gives, which is done while the kernel makes it."""
    ours, theirs = Channel.pair()
    undo.callback(ours.close)
    with ExitStack() as held:
        siblings = Siblings.begin()
        held.callback(siblings.close)
        try:
            first = _spawn(context, plan, equipment, channel=theirs, siblings=siblings)
        finally:
            theirs.close()
        maker = pidfd_of(first)
        try:
            given = busy()
        except BaseException:
            process.end_child(maker)
            raise
        pid, pidfd = siblings.after(maker, ours, number=0)
    undo.callback(process.end_child, pidfd)
    return pid, pidfd, ours, given


def _spawn(
    context: Context, plan: ZonePlan, equipment: Equipment, *, channel: Channel, siblings: Siblings
) -> int:
    """The pid of the process that makes init."""
    flags = 0
    for kind in plan.clone.namespaces:
        flags |= getattr(process, clone_flag(kind))
    with ExitStack() as held:
        group = payload(context, plan)
        if group is not None:
            held.callback(os.close, group)
        birth = entry.Birth(
            namespaces=flags,
            owner=int(plan.clone.owner) if plan.clone.owner else None,
            group=group,
            door=equipment.door,
            reaper=equipment.reaper,
        )
        return entry.spawn_init(
            equipment.streams,
            birth,
            channel=channel.fileno(),
            siblings=siblings,
            first=entry.stream_words(equipment.streams, equipment.window),
        )


def _answer(channel: Channel, plan: ZonePlan, equipment: Equipment, *, pid: int) -> int | None:
    """Tell an init that is ready what it becomes; returns its pty's master, if it has one, for the caller to own."""
    order = entry.Order(
        restrict=plan.restrict,
        argv=plan.execute.argv,
        env=equipment.env,
        step=plan.restrict.summary,
        terminal_type=equipment.terminal_type,
        bound_to_parent=equipment.bound_to_parent,
        watched=equipment.watched,
        reaper=equipment.reaper is not None,
    )
    return entry.answer(channel, order, pid=pid)


def see_executed(pid: int, pidfd: int) -> None:
    """See that init's conversation ended with its execve: a kill ends it too, and a start must not call that success.

    At an execve the new memory is there before the descriptors are closed, at an end the memory goes first. What has
    ended is asked for the name that it had, while it is a zombie: an execve changes it. Where its parent was quicker, a
    program that was killed at once cannot be told from an init that was, and the error says no more than that.

    Raises:
        ZonectlError: init was killed.

    """
    if proc.has_memory(pid):
        return
    # Asked first: it does not change any more, and a parent that is not us may reap it any moment.
    name = proc.command_name(pid)
    has_executed = None if name is None else name != entry.NAME
    ended = process.wait_pidfd(pidfd, reap=False)
    if ended is not None and has_executed is False and ended.signal is None:
        raise ZonectlError(f"init ended with status {ended.status} before its program ran")
    if ended is not None and ended.signal in _KILLED and not has_executed:
        moment = "before its program ran" if has_executed is False else "before or just as its program ran"
        raise ZonectlError(f"init was killed by {signal.Signals(ended.signal).name} {moment}")


def open_reaper() -> int:
    """A descriptor of the static catatonit(1), which the caller owns.

    Raises:
        HostLacks: it is not installed.

    """
    try:
        return os.open(CATATONIT, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        hint = "install the package catatonit, or set init = false"
        raise HostLacks("init = true needs catatonit", hint=hint) from error


def _start_ticks(name: str, pid: int) -> int:
    ticks = proc.start_ticks(pid)
    if ticks is None:
        raise ZonectlError("init ended before it was ready", zone=name)
    return ticks
