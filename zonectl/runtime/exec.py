"""exec: a program in a running zone.

    worker                      zonectl-entry, three times
      posix_spawn ────────────▶ not dumpable, clones a sibling into init's group, exits
      the rank of that
      RANKED ─────────────────────▶ joins the zone, clones a sibling, exits
                                        streams or pty
                       ◀─────────────── READY (with its root, and the master of its pty)
      looks up the user
      ORDER (what it becomes) ────────▶ restrictions, filter
      EXEC ───────────────────────────▶ execve
                       ◀─────────────── end of file: executed; or FAILED

The first enters the group while it still has the host root's right to (CLONE_INTO_CGROUP; the zone's root may not write
to the group's ancestors), and the second is there because a pid namespace is entered only by children. All three are
children of the worker.

From the second on they are in a group of the zone's, which may freeze it, and the third is seen by its processes, which
may stop it: all of it has ENTRY_S, and the caller's signals end it until the word to execute.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zonectl.errors import ProgramError, StateError, SyscallError, ZonectlError
from zonectl.kernel import proc, process
from zonectl.namespaces import entering
from zonectl.runtime import entry, filters, zones
from zonectl.runtime.handshake import Channel, Late
from zonectl.runtime.siblings import Siblings, pidfd_of
from zonectl.runtime.status import open_init, require
from zonectl.security import ranks
from zonectl.security.steps import rank_step, restrict_step

if TYPE_CHECKING:
    from zonectl.kernel.process import ExitStatus
    from zonectl.model.record import LiveNote
    from zonectl.runtime.context import Context
    from zonectl.runtime.frontend import Frontend
    from zonectl.security.steps import Rank

ENTRY_S = 30.0
"""How long a program may take to come in: a busy machine needs milliseconds, and a zone could have it wait for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be executed. `user` and `workdir` default to the zone file's; `env` goes over the zone file's.

    An empty `argv` is a login shell of the user's. With `terminal_type` the program has a pty.
    """

    argv: tuple[str, ...]
    user: str | None = None
    workdir: str | None = None
    env: tuple[tuple[str, str], ...] = ()
    terminal_type: str | None = None


def execute(context: Context, name: str, request: Request, *, frontend: Frontend) -> ExitStatus:
    """Run the program of `request` in the zone `name` until it ends.

    Raises:
        StateError: the zone is not running.
        ProgramError: the program cannot be executed.
        ZonectlError: the zone ended meanwhile, lets nobody in, or a restriction cannot be applied.

    """
    found = require(context, name, "exec")
    if found.live is None:
        raise _ended(name)
    config = zones.load_config(context, name)
    restrict = restrict_step(
        config,
        context.facts,
        seccomp=filters.of_zone(context, config, name),
        user=request.user,
        workdir=request.workdir,
    )
    order = entry.Order(
        restrict=restrict,
        argv=request.argv,
        env=(*config.env, *request.env),
        step="execute",
        terminal_type=request.terminal_type,
        bound_to_parent=True,
    )
    joining = _Joining(
        live=found.live,
        order=order,
        rank=rank_step(config),
        streams=(None, None, None) if request.terminal_type else frontend.streams(),
        window=frontend.window if request.terminal_type else None,
    )
    with ExitStack() as held:
        pidfd = _come_in(context, name, joining, frontend=frontend, held=held)

        def deliver(number: int) -> None:
            with suppress(SyscallError):
                process.pidfd_send_signal(pidfd, number)

        return frontend.wait(pidfd, deliver)


def _come_in(context: Context, name: str, joining: _Joining, *, frontend: Frontend, held: ExitStack) -> int:
    """Bring the program up in the zone: its pidfd, which `held` closes when it has ended it."""
    try:
        pidfd, channel = _join(context, name, joining, held=held)
        master = entry.answer(channel, joining.order, pid=joining.live.pid)
        if master is not None:
            frontend.attach(master)
        frontend.keep_signals()
        channel.bid("EXEC")
        channel.expect_end()
    except Late as error:
        require(context, name, "exec")  # or it has been paused
        raise _shut(name) from error
    except ProgramError:
        raise
    except ZonectlError as error:
        # Where the zone has ended meanwhile, that is all that there is to be said.
        require(context, name, "exec")
        error.zone = error.zone or name
        raise
    return pidfd


def _ended(name: str) -> StateError:
    return StateError(zone=name, state="installed", verb="exec", hint=f"zonectl start {name}")


def _shut(name: str) -> ZonectlError:
    message = "it has frozen or stopped the process that was to be the program"
    return ZonectlError(message, zone=name, hint=f"zonectl stop {name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Joining:
    """Whom the program's process joins, what it is born with and becomes; with `window` its streams are a pty."""

    live: LiveNote
    order: entry.Order
    rank: Rank
    streams: tuple[int | None, int | None, int | None]
    window: tuple[int, int] | None


def _join(context: Context, name: str, joining: _Joining, *, held: ExitStack) -> tuple[int, Channel]:
    """Make the process that will be the program; returns its pidfd and its channel, which `held` closes."""
    siblings = Siblings.begin()
    held.callback(siblings.end)
    ours, theirs = Channel.pair()
    held.callback(ours.close)
    ours.hurry(ENTRY_S)
    try:
        pidfd = _spawn(context, name, joining, channel=theirs, siblings=siblings)
    finally:
        theirs.close()
    _, pidfd = siblings.after(pidfd, ours, number=0)
    try:
        # Of the second, in its group: the processors of that bound those that a process may have.
        ranks.apply(joining.rank, siblings.pid(0))
        ours.bid("RANKED")
    except BaseException:
        process.end_child(pidfd)
        raise
    _, pidfd = siblings.after(pidfd, ours, number=1)
    held.callback(process.end_child, pidfd)
    return pidfd, ours


def _spawn(context: Context, name: str, joining: _Joining, *, channel: Channel, siblings: Siblings) -> int:
    """The pidfd of the first process."""
    namespaces = entering.differing(joining.live.pid)
    with ExitStack() as held:
        init = open_init(joining.live)
        if init is None:
            raise _ended(name)
        held.callback(os.close, init)
        group = _open_group(context, joining.live.pid)
        if group is not None:
            held.callback(os.close, group)
        pid = entry.spawn_exec(
            joining.streams,
            channel=channel.fileno(),
            init=init,
            siblings=siblings,
            group=group,
            namespaces=namespaces,
            first=entry.stream_words(joining.streams, joining.window),
        )
        return pidfd_of(pid)


def _open_group(context: Context, pid: int) -> int | None:
    """The group that init is in now: a systemd inside may have moved it and made `payload` an inner node."""
    group = proc.cgroup_of(pid)
    if context.facts.cgroup.mount is None or group is None:
        return None
    path = f"{context.facts.cgroup.mount}{group}"
    try:
        return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:  # the zone has moved its init, and removed it
        raise SyscallError("open", error.errno or 0, path) from error
