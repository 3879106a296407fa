"""Bringing a zone up: the worker's side of the handshake with init."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zonectl.errors import HostLacks, SyscallError, ZonectlError
from zonectl.kernel import proc, process
from zonectl.model.record import LiveNote
from zonectl.namespaces.steps.process import clone_flag
from zonectl.runtime.effects import Effects, payload
from zonectl.runtime.handshake import Channel
from zonectl.runtime.initial import FAILED_STATUS, Equipment, Init
from zonectl.security import ranks
from zonectl.store import records

if TYPE_CHECKING:
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
        end(self.pidfd)


def launch(
    context: Context,
    name: str,
    plan: ZonePlan,
    *,
    equipment: Equipment,
    undo: Undo,
    writable: bool = False,
) -> Launched:
    """Make the zone's platform and its init, up to where init is ready.

    Everything made is undone by `undo`; the zone's note of its init is written, so that whoever comes after a kill
    at any moment finds it. `writable` is noted there: an immutable root was left writable.

    Raises:
        ZonectlError: a step failed; `undo` has not been run.

    """
    ranks.require(plan.rank)
    effects = Effects(context, name, undo)
    effects.share_before_link(plan.shared)
    effects.before(plan.before)
    ours, theirs = Channel.pair()
    undo.callback(ours.close)
    pid, pidfd = _clone(context, plan, equipment=equipment, channel=theirs)
    theirs.close()
    undo.callback(end, pidfd)
    try:
        with ExitStack() as held:
            effects.map_ids(plan.maps, pid=pid)
            ours.send_trees(effects.trees(plan.trees, pid=pid, held=held))
            effects.link(plan.links, pid=pid)
            ours.say("LINKS")
            ranks.apply(plan.rank, pid)
            fds = ours.expect("READY")
    except ZonectlError as error:
        # Where init has failed meanwhile, what failed here is only that it is gone.
        cause = ours.overhear()
        if cause is None:
            raise
        raise cause from error
    _note(context, name, pid, parked=equipment.door is not None, writable=writable)
    undo.callback(records.remove_live, context.paths, name)
    return Launched(pid=pid, pidfd=pidfd, channel=ours, master=fds[0] if fds else None)


def see_executed(pid: int, pidfd: int) -> None:
    """See that init's conversation ended with its execve: a kill ends it too, and a start must not call that success.

    At an execve the new memory is there before the descriptors are closed, at an end the memory goes first. What has
    ended is asked whether it had executed anything, while it is a zombie. Where its parent was quicker, a program that
    was killed at once cannot be told from an init that was, and the error says no more than that.

    Raises:
        ZonectlError: init was killed.

    """
    if proc.has_memory(pid):
        return
    # Asked first: it does not change any more, and a parent that is not us may reap it any moment.
    has_executed = proc.has_executed(pid)
    ended = process.wait_pidfd(pidfd, reap=False)
    if ended is not None and ended.signal in _KILLED and not has_executed:
        moment = "before its program ran" if has_executed is False else "before or just as its program ran"
        raise ZonectlError(f"init was killed by {signal.Signals(ended.signal).name} {moment}")


def end(pidfd: int) -> None:
    """Kill the init of `pidfd`, wait for its end, and close the descriptor; fine when it has ended."""
    with suppress(SyscallError):
        process.pidfd_send_signal(pidfd, signal.SIGKILL)
    process.wait_pidfd(pidfd)
    os.close(pidfd)


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


def _clone(context: Context, plan: ZonePlan, *, equipment: Equipment, channel: Channel) -> tuple[int, int]:
    flags = 0
    for kind in plan.clone.namespaces:
        flags |= getattr(process, clone_flag(kind))
    owner = int(plan.clone.owner) if plan.clone.owner else None
    group = payload(context, plan)
    try:
        pid, pidfd = process.clone(flags, cgroup_fd=group, owner=owner)
    finally:
        if group is not None:
            os.close(group)
    if pid == 0:
        _be_init(plan, equipment, channel)
    return pid, pidfd


def _be_init(plan: ZonePlan, equipment: Equipment, channel: Channel) -> None:
    status = FAILED_STATUS
    try:
        status = Init(plan, equipment, channel).run()
    finally:
        os._exit(status)


def _note(context: Context, name: str, pid: int, *, parked: bool, writable: bool) -> None:
    ticks = proc.start_ticks(pid)
    if ticks is None:
        raise ZonectlError("init ended before it was ready", zone=name)
    note = LiveNote(
        pid=pid,
        start_ticks=ticks,
        boot_id=proc.boot_id(),
        started_at=time.time(),
        parked=parked,
        writable=writable,
    )
    records.save_live(context.paths, name, note)
