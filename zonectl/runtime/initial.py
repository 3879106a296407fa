"""Init before it is the zone's program: what the child of clone3 does inside its new namespaces.

Everything it needs is imported before the clone; nothing of the zone's is executed or loaded before the execve.
"""

from __future__ import annotations

import os
import socket
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zonectl.errors import ZonectlError
from zonectl.kernel import notifier, process
from zonectl.namespaces import clocks, entering, rootfs, sysctls
from zonectl.namespaces.steps.process import BecomeRoot, ChangeRoot, SetHostname, ShiftClocks
from zonectl.namespaces.steps.sysctls import WriteSysctls
from zonectl.network import inside as wiring
from zonectl.network import steps as network_steps
from zonectl.runtime import program
from zonectl.runtime.handshake import Channel
from zonectl.security import accounts
from zonectl.security import attributes as restrictions
from zonectl.security.steps import JoinKeyring

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zonectl.model.steps import Step
    from zonectl.planning import ZonePlan
    from zonectl.security.accounts import Account

FAILED_STATUS = 125
"""What init exits with when it never became the zone's program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Equipment:
    """What init is given besides its plan.

    `streams` become its 0, 1 and 2 (None: the zone's /dev/null). With `window` it makes a pty of that many rows and
    columns instead, for a terminal of type `terminal_type`. With `door` it waits on that listening socket for the
    word to execute. `bound_to_parent`: it dies with the process that made it. `reaper` is a descriptor of a static
    catatonit, for zones with init = true. `watched`: its system calls are recorded, from where they are the program's.
    """

    env: tuple[tuple[str, str], ...]
    streams: tuple[int | None, int | None, int | None] = (None, None, None)
    window: tuple[int, int] | None = None
    terminal_type: str | None = None
    door: int | None = None
    bound_to_parent: bool = False
    reaper: int | None = None
    watched: bool = False


class Init:
    """The course of init from its birth to its execve."""

    def __init__(self, plan: ZonePlan, equipment: Equipment, channel: Channel) -> None:
        self._plan = plan
        self._equipment = equipment
        self._channel = channel
        self._step = "begin"
        self._links = False

    def run(self) -> int:
        """Become the zone's program. Returns only on failure, with an exit status; the worker has been told why."""
        try:
            self._become()
        except Exception as error:  # noqa: BLE001 - a process ends here, and its parent hears why
            self._channel.fail(error, self._step)
        return FAILED_STATUS

    def _become(self) -> None:
        self._keep_own_descriptors()
        if self._equipment.window is None:
            os.setsid()
        assembly = rootfs.Assembly(self._receive_trees())
        with wiring.Wiring() as wires:
            for step in self._plan.inside:
                self._step = step.summary
                if isinstance(step, network_steps.InsideStep):
                    self._await_links()
                    wires.apply(step)
                else:
                    _apply(step, assembly)
        self._await_links()
        self._step = f"become {self._plan.restrict.user}"
        account = _account(self._plan.restrict.user)
        self._step = "connect the streams"
        assembly.close()
        master = self._take_streams(account)
        self._channel.say("READY", [] if master is None else [master])
        if master is not None:
            os.close(master)
        self._answer_door()
        self._execute(account)

    def _keep_own_descriptors(self) -> None:
        own = self._equipment
        program.connect(own.streams)
        kept = (0, 1, 2, self._channel.fileno(), own.door, own.reaper)
        process.close_all_but(fd for fd in kept if fd is not None)

    def _receive_trees(self) -> list[int]:
        self._step = "receive the trees"
        trees = self._channel.expect("TREES")
        while len(trees) < len(self._plan.trees):
            trees += self._channel.expect("TREES")
        return trees

    def _await_links(self) -> None:
        if not self._links:
            self._channel.expect("LINKS")
            self._links = True

    def _take_streams(self, account: Account) -> int | None:
        with _root() as root:
            if self._equipment.window is not None:
                return program.take_terminal(root, self._equipment.window, account)
            program.replace_null(self._equipment.streams, root)
            return None

    def _answer_door(self) -> None:
        if self._equipment.door is not None:
            self._channel.close()
            with socket.socket(fileno=self._equipment.door) as door:
                connection, _ = door.accept()
            self._channel = Channel(connection)

    def _execute(self, account: Account) -> None:
        own, argv = self._equipment, self._plan.execute.argv
        self._step = self._plan.restrict.summary
        env = program.environment(own.env, account, terminal_type=own.terminal_type)
        restrictions.apply(self._plan.restrict, account, prepare=lambda: self._prepare(env))
        self._step = "execute"
        if own.reaper is not None:
            os.execve(own.reaper, ["catatonit", "--", *argv], env)  # noqa: S606 - no shell is wanted
        program.execute(argv, env)

    def _prepare(self, env: dict[str, str]) -> None:
        # Only now, so that the worker notes that the zone runs while this process is being restricted.
        self._channel.expect("EXEC")
        argv = self._plan.execute.argv
        if self._equipment.bound_to_parent:
            program.die_with_parent(self._channel.fileno(), argv[0])
        if self._equipment.reaper is not None:
            # Catatonit would find out only when the start has said that all is well.
            program.find(argv, env)
        program.reset_signals()
        process.close_range(3, cloexec=True)
        if self._equipment.watched:
            # The descriptor that the next call of the kernel gives out: nothing is opened or closed in between.
            number = os.dup(0)
            os.close(number)
            self._channel.say("LISTEN", number=number)
            notifier.listen()


def _apply(step: Step, assembly: rootfs.Assembly) -> None:
    match step:
        case BecomeRoot():
            entering.become_root()
        case ChangeRoot():
            entering.change_root(step.path)
        case SetHostname():
            process.sethostname(step.hostname)
        case JoinKeyring():
            restrictions.begin_keyring()
        case ShiftClocks():
            clocks.apply(step)
        case WriteSysctls():
            sysctls.apply(step)
        case _ if isinstance(step, rootfs.RootStep):
            assembly.apply(step)
        case _:
            msg = f"no one carries out: {step.summary}"
            raise ZonectlError(msg)


def _account(user: str) -> Account:
    with _root() as root:
        return accounts.look_up(user, root)


@contextmanager
def _root() -> Iterator[int]:
    """A descriptor of the root that this process has now."""
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield root
    finally:
        os.close(root)
