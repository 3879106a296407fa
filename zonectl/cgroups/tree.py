"""The control groups of zonectl: making, limiting, freezing, killing, reading and removing them.

Groups are named relative to the base, as `model.instance` names them: `zonectl/0a1b2c3d/payload`.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zonectl.cgroups import effects, events, freezer, pressure, protection, removal, stats, walk
from zonectl.cgroups.steps import base_path
from zonectl.cgroups.steps.kinds import MakeGroup
from zonectl.errors import SyscallError
from zonectl.model.names import ZONE_ID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zonectl.cgroups.pressure import GroupPressure
    from zonectl.cgroups.stats import GroupStats
    from zonectl.cgroups.steps.kinds import CgroupStep
    from zonectl.model.facts import CgroupFacts

REMOVE_S = 10.0
"""How long an undo waits for processes to die."""

_ZONE_DEPTH = 2


@dataclass(frozen=True, slots=True)
class Tree:
    """The groups below `facts.base` of the cgroup2 at `facts.mount`.

    Every method raises HostLacks where there is no cgroup2, SyscallError where the kernel refuses, ValueError for a
    name that leads elsewhere. A group that is not there is empty, not frozen and already removed; it cannot be
    opened, killed or frozen (SyscallError, ENOENT), save that killing it is fine.
    """

    facts: CgroupFacts

    def apply(self, step: CgroupStep) -> None:
        """Carry `step` out; raises as `effects.do`."""
        effects.do(step)

    def undo(self, step: CgroupStep) -> None:
        """Take `step` back; twice is fine, and so is one that was never done.

        A group that the step made is removed with what runs in it. What was written to it goes with it; controllers
        stay enabled in groups that are shared.

        Raises:
            TimedOut: a process of the group does not end.

        """
        if not isinstance(step, MakeGroup) or step.shared:
            return
        group = os.path.relpath(step.path, base_path(self.facts))
        self.remove(group, timeout_s=REMOVE_S)

    def open_group(self, group: str) -> int:
        """A descriptor of `group` for CLONE_INTO_CGROUP (O_PATH, close-on-exec); the caller closes it."""
        path = self.path(group)
        try:
            return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise SyscallError("open", error.errno or 0, path) from error

    def exists(self, group: str) -> bool:
        """Whether `group` is there."""
        return os.path.isdir(self.path(group))

    def children(self, instance_group: str) -> list[str]:
        """The ids of the zones that have a group in `instance_group`, sorted; other groups in it are not ours."""
        with _opened(self.path(instance_group)) as top:
            found = [] if top is None else walk.names(top)
        return sorted(name for name in found if ZONE_ID.match(name))

    def processes(self, group: str, *, recursive: bool = True) -> list[int]:
        """The pids in `group`, sorted; with `recursive` those in groups below as well."""
        with _opened(self.path(group)) as top:
            return [] if top is None else walk.processes(top, recursive=recursive)

    def is_populated(self, group: str) -> bool:
        """Whether a process that is not a zombie is in `group` or below."""
        return events.is_set(self.path(group), "populated")

    def kill(self, group: str, *, timeout_s: float = REMOVE_S) -> None:
        """Kill all in `group` and below, and wait; raises as `removal.kill`."""
        removal.kill(self.path(group), timeout_s=timeout_s)

    def remove(self, group: str, *, timeout_s: float = REMOVE_S) -> None:
        """Kill all in `group` and below, then remove it and what was made in it; raises as `removal.remove`."""
        removal.remove(self.path(group), timeout_s=timeout_s)
        instance, _, zone = group.rpartition("/")
        if ZONE_ID.match(zone) and group.count("/") == _ZONE_DEPTH - 1:
            protection.lower(self.path(instance))

    def discard(self, group: str) -> bool:
        """Remove `group` if nothing is in it, as the instance's when its last zone is deleted; whether it is gone."""
        return removal.discard(self.path(group))

    def prune(self, group: str) -> bool:
        """Remove `group` and those below it as far as nobody is in them; whether it is gone."""
        with _opened(self.path(group)) as top:
            if top is not None:
                walk.prune(top)
        return self.discard(group)

    def freeze(self, group: str, *, timeout_s: float = REMOVE_S) -> None:
        """Stop all in `group` and below; raises as `freezer.freeze`."""
        freezer.freeze(self.path(group), timeout_s=timeout_s)

    def thaw(self, group: str) -> None:
        """Let all in `group` and below go on; raises as `freezer.thaw`."""
        freezer.thaw(self.path(group))

    def is_frozen(self, group: str) -> bool:
        """Whether `group` is frozen."""
        return freezer.is_frozen(self.path(group))

    def stats(self, group: str) -> GroupStats:
        """What `group` and those below have used; None for what no controller counts here."""
        return stats.read(self.path(group))

    def pressure(self, group: str) -> GroupPressure:
        """How long processes of `group` have waited for processors, memory and disks."""
        return pressure.read(self.path(group))

    def path(self, group: str) -> str:
        """The absolute path of `group`.

        Raises:
            ValueError: it is empty or leads out of the base: removing that would kill what is not ours.

        """
        if not group or {"", ".", ".."} & set(group.split("/")):
            msg = f"not a control group of zonectl: {group!r}"
            raise ValueError(msg)
        return f"{base_path(self.facts)}/{group}"


@contextmanager
def _opened(path: str) -> Iterator[int | None]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        yield fd
    finally:
        os.close(fd)
