"""exec: a program in a running zone.

    worker                      helper                          program
      clone, into init's group ▶
      its rank
      RANKED ─────────────────▶ joins the zone (entering.enter)
                                clone, as the worker's child ───▶
                       ◀──────── BORN (its pidfd)
                                exits                           streams or pty, user
                       ◀──────────────────────────────────────── READY (with the master of its pty)
                                                                restrictions
      EXEC ──────────────────────────────────────────────────▶ filter, execve
                       ◀──────────────────────────────────────── end of file: executed; or FAILED

The helper is there because a pid namespace is entered only by children, and it enters the group while it still has
the host root's right to (CLONE_INTO_CGROUP; the zone's root may not write to the group's ancestors).
"""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zonectl.errors import StateError, SyscallError, ZonectlError
from zonectl.kernel import attributes, proc, process
from zonectl.namespaces import entering
from zonectl.runtime import filters, program, zones
from zonectl.runtime.handshake import Channel, close_all, failure
from zonectl.runtime.status import open_init, require
from zonectl.security import accounts, ranks
from zonectl.security import attributes as restrictions
from zonectl.security.steps import Rank, Restrict, rank_step, restrict_step

if TYPE_CHECKING:
    from zonectl.kernel.process import ExitStatus
    from zonectl.model.record import LiveNote
    from zonectl.runtime.context import Context
    from zonectl.runtime.frontend import Frontend

FAILED_STATUS = 125


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
        ZonectlError: the zone ended meanwhile, or a restriction cannot be applied.

    """
    found = require(context, name, "exec")
    if found.live is None:
        raise _ended(name)
    config = zones.load_config(context, name)
    joining = _Joining(
        live=found.live,
        request=request,
        env=(*config.env, *request.env),
        rank=rank_step(config),
        restrict=restrict_step(
            config,
            context.facts,
            seccomp=filters.of_zone(context, config, name),
            user=request.user,
            workdir=request.workdir,
        ),
        streams=(None, None, None) if request.terminal_type else frontend.streams(),
        window=frontend.window if request.terminal_type else None,
    )
    with ExitStack() as held:
        pidfd, channel, master = _join(context, name, joining, held=held)
        if master is not None:
            frontend.attach(master)
        channel.bid("EXEC")
        channel.expect_end()

        def deliver(number: int) -> None:
            with suppress(SyscallError):
                process.pidfd_send_signal(pidfd, number)

        return frontend.wait(pidfd, deliver)


def _ended(name: str) -> StateError:
    return StateError(zone=name, state="installed", verb="exec", hint=f"zonectl start {name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Joining:
    """What the helper and the program need to know, carried over by fork."""

    live: LiveNote
    request: Request
    env: tuple[tuple[str, str], ...]
    rank: Rank
    restrict: Restrict
    streams: tuple[int | None, int | None, int | None]
    window: tuple[int, int] | None


def _join(
    context: Context, name: str, joining: _Joining, *, held: ExitStack
) -> tuple[int, Channel, int | None]:
    """Make the process that will be the program; returns its pidfd, its channel, and its pty's master if any."""
    init = open_init(joining.live)
    if init is None:
        raise _ended(name)
    held.callback(os.close, init)
    ours, theirs = Channel.pair()
    held.callback(ours.close)
    group = _open_group(context, joining.live.pid)
    try:
        pid, helper = process.clone(0, cgroup_fd=group)
    finally:
        if group is not None:
            os.close(group)
    if pid == 0:
        _be_helper(joining, init, theirs)
    theirs.close()
    _rank(joining.rank, pid, helper=helper, channel=ours)
    # It waits for nobody, and what it says is kept.
    ended = process.wait_pidfd(helper)
    os.close(helper)
    if ended is None or ended.code:
        message, fds = ours.hear()
        close_all(fds)
        raise failure(message)
    pidfd, fds = _introductions(ours, held)
    return pidfd, ours, fds[0] if fds else None


def _rank(rank: Rank, pid: int, *, helper: int, channel: Channel) -> None:
    """Give the helper, and so the program, its rank, while it closes what it does not need."""
    try:
        ranks.apply(rank, pid)
        channel.bid("RANKED")
    except ZonectlError:
        _end(helper)
        raise


def _introductions(channel: Channel, held: ExitStack) -> tuple[int, list[int]]:
    """The program's pidfd, which BORN brings, and what comes with READY; both are said in whatever order they run.

    A program that fails is heard of, and still has to be reaped: until then its zone's init could not end.
    """
    born: int | None = None
    ready: list[int] | None = None
    failed: ZonectlError | None = None
    while born is None or (ready is None and failed is None):
        message, fds = channel.hear()
        match message.get("word"):
            case "BORN":
                (born,) = fds
                held.callback(_end, born)
            case "READY":
                ready = fds
            case _:
                close_all(fds)
                failed = failure(message)
    if failed is not None:
        close_all(ready or ())
        raise failed
    return born, ready or []


def _end(pidfd: int) -> None:
    with suppress(SyscallError):
        process.pidfd_send_signal(pidfd, signal.SIGKILL)
    process.wait_pidfd(pidfd)
    os.close(pidfd)


def _open_group(context: Context, pid: int) -> int | None:
    """The group that init is in now: a systemd inside may have moved it and made `payload` an inner node."""
    group = proc.cgroup_of(pid)
    if context.facts.cgroup.mount is None or group is None:
        return None
    return os.open(f"{context.facts.cgroup.mount}{group}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def _be_helper(joining: _Joining, init: int, channel: Channel) -> None:
    status = FAILED_STATUS
    try:
        status = _help(joining, init, channel)
    except Exception as error:  # noqa: BLE001 - a process ends here, and its parent hears why
        channel.fail(error, "join the zone")
    finally:
        os._exit(status)


def _help(joining: _Joining, init: int, channel: Channel) -> int:
    attributes.set_dumpable(False)
    program.connect(joining.streams)
    process.close_all_but((0, 1, 2, init, channel.fileno()))
    channel.expect("RANKED")
    restrictions.begin_keyring()
    entering.enter(init, pid=joining.live.pid)
    pid, pidfd = process.clone(0, sibling=True)
    if pid:
        channel.say("BORN", [pidfd])
        return 0
    try:
        _become(joining, init, channel)
    except Exception as error:  # noqa: BLE001 - a process ends here, and its parent hears why
        channel.fail(error, "execute")
    return FAILED_STATUS


def _become(joining: _Joining, init: int, channel: Channel) -> None:
    os.close(init)
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    account = accounts.look_up(joining.restrict.user, root)
    master = _streams(joining, root, account)
    os.close(root)
    channel.say("READY", [] if master is None else [master])
    if master is not None:
        os.close(master)
    env = program.environment(joining.env, account, terminal_type=joining.request.terminal_type)
    argv = joining.request.argv or (account.shell or "/bin/sh",)
    restrictions.apply(joining.restrict, account, prepare=lambda: _prepare(channel, argv[0]))
    program.execute(argv, env)


def _prepare(channel: Channel, name: str) -> None:
    channel.expect("EXEC")
    program.die_with_parent(channel.fileno(), name)
    program.reset_signals()
    process.close_range(3, cloexec=True)


def _streams(joining: _Joining, root: int, account: accounts.Account) -> int | None:
    if joining.window is None:
        os.setsid()
        program.replace_null(joining.streams, root)
        return None
    return program.take_terminal(root, joining.window, account)
