"""A process on the host that is as much like a zone's as it can be without its walls.

What is not a wall is the same, and set by the same functions: processor, niceness, scheduling policy, OOM score, limits
of resources, umask, environment, session, signals, and a control group of the same shape and limits. What remains is in
docs/adr/0100-overhead-in-paired-rounds.md.
"""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zonectl.cgroups import steps as cgroup_steps
from zonectl.cgroups.tree import Tree
from zonectl.errors import SyscallError
from zonectl.kernel import attributes, process
from zonectl.model.instance import zone_cgroup
from zonectl.runtime import program
from zonectl.security import ceilings, keyring, ranks
from zonectl.security.accounts import Account
from zonectl.security.steps import rank_step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from zonectl.kernel.process import ExitStatus
    from zonectl.model.config import ZoneConfig
    from zonectl.model.names import ZoneId
    from zonectl.runtime.context import Context

_NOT_EXECUTED = 125
_ROOT = Account(uid=0, gid=0, name="root", home="/root")


class Pipes:
    """The two pipes by which a program is talked to; as the front end of a run it lends the zone their other ends.

    It owns all four ends: `requests` is written to, `answers` read from.
    """

    def __init__(self, held: ExitStack) -> None:
        theirs_in, self.requests = os.pipe()
        self.answers, theirs_out = os.pipe()
        self._theirs = [theirs_in, theirs_out]
        for fd in (self.requests, self.answers):
            held.callback(os.close, fd)
        held.callback(self.let_go)

    @property
    def interactive(self) -> bool:
        """Nobody is there."""
        return False

    @property
    def window(self) -> tuple[int, int]:
        """What a terminal would have."""
        return (24, 80)

    def streams(self) -> tuple[int | None, int | None, int | None]:
        """The other ends, and nothing for errors."""
        return self._theirs[0], self._theirs[1], None

    def let_go(self) -> None:
        """Close the other ends, once the program has them: only then does an end show. Twice is fine."""
        while self._theirs:
            os.close(self._theirs.pop())

    def keep_signals(self) -> None:
        """Nobody sends signals."""

    def attach(self, master: int) -> None:
        """Let go of a terminal: none is asked for."""
        os.close(master)

    def wait(self, pidfd: int, deliver: Callable[[int], None]) -> ExitStatus:
        """Kill the program, and wait for its end."""
        deliver(signal.SIGKILL)
        return process.wait_pidfd(pidfd) or process.ExitStatus()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosted:
    """What a process on the host is given. `group` is a descriptor of its control group, None for this process's.

    `env` is added to the variables that every program expects. A zone's is for the probe alone: by PATH or LD_PRELOAD
    it would decide what the host's programs execute.
    """

    argv: Sequence[str]
    folder: str
    config: ZoneConfig
    group: int | None = None
    env: tuple[tuple[str, str], ...] = ()


@contextmanager
def groups(context: Context, config: ZoneConfig, zone_id: ZoneId) -> Iterator[int | None]:
    """A descriptor of a group like that in which the zone's processes live; None where the host has no cgroup2.

    Who has made `zone_id` removes the group (`site.standing`).

    Raises:
        HostLacks: a limit of the zone's cannot be enforced.
        SyscallError: the kernel refuses.

    """
    facts = context.facts.cgroup
    if not facts.mount:
        yield None
        return
    group, tree = zone_cgroup(context.instance, zone_id), Tree(facts)
    for step in cgroup_steps.steps(config.resources, facts, group=group)[0]:
        tree.apply(step)
    found = tree.open_group(f"{group}/{cgroup_steps.PAYLOAD}")
    try:
        yield found
    finally:
        os.close(found)


@contextmanager
def hosted(given: Hosted, pipes: Pipes) -> Iterator[int]:
    """The pid of a process that executes `given`; it is killed in the end, and dies with this one.

    Raises:
        HostLacks: the zone file asks for a rank that zonectl may not give.
        SyscallError: there can be no such process.

    """
    rank = rank_step(given.config)
    ranks.require(rank)
    parent = os.getpid()
    pid, pidfd = process.clone(0, cgroup_fd=given.group)
    if pid == 0:
        try:
            _become(given, pipes, parent)
        finally:
            os._exit(_NOT_EXECUTED)
    try:
        pipes.let_go()
        yield pid
    finally:
        process.end_child(pidfd)


def _become(given: Hosted, pipes: Pipes, parent: int) -> None:
    """In the order of native/restrictions.c."""
    os.setsid()
    program.connect(pipes.streams())
    process.close_all_but((0, 1, 2))
    with suppress(SyscallError):  # no room for a key: it has its caller's, as nothing here looks at keys
        keyring.begin()
    ranks.apply(rank_step(given.config), 0)
    os.umask(given.config.process.umask)
    os.chdir(given.folder)
    ceilings.hold(rank_step(given.config).ceilings)
    attributes.set_pdeathsig(signal.SIGKILL)
    if os.getppid() != parent:
        return
    program.reset_signals()
    env = program.environment(given.env, _ROOT, terminal_type=None)
    os.execve(given.argv[0], list(given.argv), env)  # noqa: S606 - no shell is wanted
