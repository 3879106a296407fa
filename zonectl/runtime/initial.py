"""Init: what it is given, and the script of what it does as zonectl-entry, before it becomes the zone's program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zonectl.errors import ZonectlError
from zonectl.model.script import Script
from zonectl.namespaces import clocks, rootfs, sysctls
from zonectl.namespaces.steps.mounts import MakePrivate
from zonectl.namespaces.steps.process import BecomeRoot, ChangeRoot, SetHostname, ShiftClocks
from zonectl.namespaces.steps.scaffold import EnterScaffold
from zonectl.namespaces.steps.sysctls import WriteSysctls
from zonectl.network import inside as wiring
from zonectl.network import steps as network_steps
from zonectl.security.steps import JoinKeyring

if TYPE_CHECKING:
    from zonectl.model.steps import Step
    from zonectl.planning import ZonePlan


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


def script(plan: ZonePlan) -> bytes:
    """What init does before it is ready, as zonectl-entry reads it; it waits for the worker where a step needs that.

    It has its keyring by then and has become root, which it needs no script for.
    """
    written = _Writing(plan)
    for step in plan.inside:
        if not isinstance(step, JoinKeyring | BecomeRoot):
            written.add(step)
    return written.whole()


class _Writing:
    """A script that grows, with what it waits for."""

    def __init__(self, plan: ZonePlan) -> None:
        self._script = Script()
        self._slots = len(plan.trees)
        self._trees = self._links = False

    def add(self, step: Step) -> None:
        """Add the calls of `step`."""
        self._script.step(step.summary)
        self._await_what_it_needs(step)
        if isinstance(step, network_steps.InsideStep):
            wiring.write(step, self._script)
        else:
            _write(step, self._script)

    def whole(self) -> bytes:
        """The script; init does not end it before the worker has done all of its part."""
        self._await_all()
        return self._script.packed()

    def _await_what_it_needs(self, step: Step) -> None:
        match step:
            case ShiftClocks() | EnterScaffold() | MakePrivate() | SetHostname():
                return
            case _ if isinstance(step, network_steps.InsideStep):
                self._await_all()
            case _:
                self._await_trees()

    def _await_trees(self) -> None:
        if not self._trees:
            self._script.await_trees(self._slots)
            self._trees = True

    def _await_all(self) -> None:
        self._await_trees()
        if not self._links:
            self._script.await_links()
            self._links = True


def _write(step: Step, script: Script) -> None:
    match step:
        case ChangeRoot():
            script.change_root(step.path)
            script.change_folder("/")
        case SetHostname():
            script.host_name(step.hostname)
        case ShiftClocks():
            clocks.write(step, script)
        case WriteSysctls():
            sysctls.write(step, script)
        case _ if isinstance(step, rootfs.RootStep):
            rootfs.write(step, script)
        case _:
            msg = f"no one carries out: {step.summary}"
            raise ZonectlError(msg)
