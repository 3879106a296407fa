"""Carrying out the steps that change the host, each with its undo, journalled before it is done."""

from __future__ import annotations

import os
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from zonectl.cgroups.tree import Tree
from zonectl.errors import SyscallError, ZonectlError
from zonectl.namespaces import idmap, nodes, trees
from zonectl.namespaces.steps.nodes import MakeNodes
from zonectl.network import shared, veth
from zonectl.runtime import zones
from zonectl.runtime.handshake import remedy_of
from zonectl.store.journal import Journal
from zonectl.store.locks import lock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import ExitStack

    from zonectl.cgroups.steps.kinds import CgroupStep
    from zonectl.model.steps import Step
    from zonectl.namespaces.steps.mounts import CloneTree
    from zonectl.namespaces.steps.process import WriteIdMap
    from zonectl.network.steps import MakeVeth, SharedStep
    from zonectl.planning import ZonePlan
    from zonectl.runtime.context import Context
    from zonectl.runtime.undo import Undo

_TRIES = 5


class Effects:
    """The host steps of one start; what is undone when it fails is pushed on `undo`.

    When the start succeeds the caller pops the stack: what was made then belongs to the zone, and `settle` removes
    it by the zone's names.
    """

    def __init__(self, context: Context, name: str, undo: Undo) -> None:
        self._context = context
        self._zone = name
        self._undo = undo
        self._tree = Tree(context.facts.cgroup)
        self._journal = Journal(context.paths.journal_file(name))
        self._shared: Sequence[SharedStep] = ()
        undo.callback(self._journal.clear)

    def share_before_link(self, steps: Sequence[SharedStep]) -> None:
        """As `share`, but for a look at what is there: `link` looks at it, with nobody taking it away meanwhile."""
        self._shared = steps
        if not shared.is_begun(steps):
            self.share(steps)

    def share(self, steps: Sequence[SharedStep]) -> None:
        """Have what the instance's zones share: made where it is missing, kept when the start fails."""
        self._shared = steps
        if not steps:
            return
        context = self._context
        held = lock(
            context.paths.shared_lock, verb="network", zone=self._zone, timeout_s=context.lock_timeout_s
        )
        with self._doing("have what all zones share"):
            shared.ensure(steps, lock=held)

    def limit(self, steps: Sequence[CgroupStep]) -> None:
        """Make the zone's control group and its limits, or set more of them."""
        for step in steps:
            self._note(step)
            self._undo.callback(self._tree.undo, step)
            with self._doing(step.summary):
                self._tree.apply(step)

    def map_ids(self, steps: Sequence[WriteIdMap], *, pid: int) -> None:
        """Give the init `pid` its ids. No undo: the map goes with init's user namespace."""
        for step in steps:
            with self._doing(step.summary):
                idmap.apply(step, pid=pid)

    def link(self, steps: Sequence[MakeVeth], *, pid: int) -> None:
        """Give the init `pid` its link.

        No undo: the pair goes with init's network namespace, and deleting it here would wait some 20 ms for the
        kernel's grace periods.
        """
        for step in steps:
            self._note(step)
            with self._doing(step.summary), self._sharing():
                _wire(step, pid)

    @contextmanager
    def _sharing(self) -> Iterator[None]:
        """Have what is shared stay while a link is joined to it: the delete of a last zone may be under way."""
        context = self._context
        for _ in range(_TRIES):
            held = lock(
                context.paths.shared_lock,
                verb="network",
                zone=self._zone,
                timeout_s=context.lock_timeout_s,
                shared=True,
            )
            with held:
                if all(shared.holds(step) for step in self._shared):
                    yield
                    return
            self.share(self._shared)
        raise ZonectlError("what zones share is removed again and again", zone=self._zone)

    def trees(self, steps: Sequence[CloneTree | MakeNodes], *, pid: int, held: ExitStack) -> list[int]:
        """Detached clones of the trees, in slot order; they are closed with `held`."""
        found: list[int] = []
        userns = _open(f"/proc/{pid}/ns/user")
        held.callback(os.close, userns)
        for step in steps:
            with self._doing(step.summary):
                if isinstance(step, MakeNodes):
                    tree = nodes.make(step)
                else:
                    shared_folders = partial(zones.shared_folders, self._context)
                    tree = trees.apply(step, userns=userns, shared=shared_folders)
            held.callback(os.close, tree)
            found.append(tree)
        return found

    def _note(self, step: Step) -> None:
        self._journal.append(type(step).__name__, {"summary": step.summary})

    @contextmanager
    def _doing(self, step: str) -> Iterator[None]:
        try:
            yield
        except ZonectlError as error:
            error.zone = error.zone or self._zone
            error.hint = error.hint or remedy_of(error)
            error.add_note(f"while: {step}")
            raise


def payload(context: Context, plan: ZonePlan) -> int | None:
    """A descriptor of the group that init is born in, which the caller owns; None where there is none."""
    return Tree(context.facts.cgroup).open_group(plan.cgroup) if plan.cgroup else None


def _wire(step: MakeVeth, pid: int) -> None:
    netns = _open(f"/proc/{pid}/ns/net")
    try:
        veth.apply(step, netns_fd=netns)
    finally:
        os.close(netns)


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise SyscallError("open", error.errno or 0, path) from error
