"""What zoned has its workers do: the commands themselves, and what follows from the end of a zone."""

from __future__ import annotations

import codecs
import importlib
import pkgutil
from typing import TYPE_CHECKING, Protocol

from zonectl import cli
from zonectl.daemon import rehearsal
from zonectl.kernel.host import host_facts
from zonectl.runtime import remains, settle, start, zones
from zonectl.runtime.context import Context
from zonectl.store import records
from zonectl.store.paths import Paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from zonectl.kernel.process import ExitStatus
    from zonectl.model.config import Restart
    from zonectl.model.instance import Instance
    from zonectl.runtime.frontend import Frontend, Warden

LEAF = "zoned"
"""zoned's own group, beside those of the zones: a group with controllers for its children holds no process itself."""

_WARM = ("cli", "runtime", "planning", "config", "namespaces", "cgroups", "network", "images", "security")


_COLD = ("zonectl.network.bridges",)
"""Needs pyroute2: 13 of 28 MB and half of a fork's time, for the first zone's bridge and the removal of the last."""


class Survivor(Protocol):
    """A running init that was found; whoever asked owns `pidfd`."""

    @property
    def name(self) -> str:
        """The zone's name."""

    @property
    def pid(self) -> int:
        """Its init."""

    @property
    def pidfd(self) -> int:
        """A descriptor of its init."""


class Jobs(Protocol):
    """The seam between zoned and the verbs. All but `warm` and `leaf` run in workers and may take their time."""

    def warm(self) -> None:
        """Import whatever a command may need, before the first fork."""

    def rehearsal(self) -> Iterable[Callable[[], object]]:
        """What a worker goes through while it waits for its client, each part some milliseconds, changing nothing."""

    def leaf(self) -> str | None:
        """The path of the group in the cgroup2 tree where zoned itself lives; None where there is no such tree."""

    def command(self, argv: Sequence[str], *, frontend: Frontend, warden: Warden) -> int:
        """Run a command line; its exit status."""

    def start(self, name: str, *, warden: Warden, unless: Callable[[], bool]) -> None:
        """Start a zone again, `unless` something speaks against it when nobody else works on the zone."""

    def finish(self, name: str, ended: ExitStatus) -> bool:
        """Note how the zone ended, and undo what was done to the host for it; idempotent. False when it runs."""

    def policy(self, name: str) -> Restart:
        """When the zone is to be started again."""

    def stopped_by_user(self, name: str) -> bool:
        """Whether the zone's last end was a user's wish."""

    def recover(self) -> None:
        """Tidy what dead commands have left."""

    def survivors(self) -> Iterable[Survivor]:
        """The zones that run now."""

    def leave(self) -> None:
        """Remove what zones share if there is none left: the last thing that zoned itself does."""


class RuntimeJobs:
    """The jobs of an instance, done by the verbs of `zonectl.runtime` and `zonectl.cli`."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance

    def warm(self) -> None:
        """Import whatever a command may need, before the first fork."""
        for room in _WARM:
            package = importlib.import_module(f"zonectl.{room}")
            for module in pkgutil.walk_packages(package.__path__, f"zonectl.{room}."):
                if module.name not in _COLD:
                    importlib.import_module(module.name)
        cli.preload()
        # Loaded on first use: procfs is read as such.
        codecs.lookup("ascii")

    def rehearsal(self) -> Iterable[Callable[[], object]]:
        """What a worker goes through while it waits for its client, each part some milliseconds, changing nothing."""
        return rehearsal.parts(self._context)

    def leaf(self) -> str | None:
        """The path of the group in the cgroup2 tree where zoned itself lives; None where there is no such tree.

        None as well where zones live below our own group, which was delegated: that is found by who asks from inside.
        """
        cgroup = host_facts().cgroup
        if not cgroup.mount or not cgroup.writable or cgroup.base:
            return None
        return f"{cgroup.mount}/{self._instance.cgroup}/{LEAF}"

    def command(self, argv: Sequence[str], *, frontend: Frontend, warden: Warden) -> int:
        """Run a command line; its exit status."""
        return cli.main(argv, frontend=frontend, warden=warden)

    def start(self, name: str, *, warden: Warden, unless: Callable[[], bool]) -> None:
        """Start a zone again, `unless` something speaks against it when nobody else works on the zone."""
        start.start(self._context(warden), name, unless=unless)

    def finish(self, name: str, ended: ExitStatus) -> bool:
        """Note how the zone ended, and undo what was done to the host for it; idempotent. False when it runs."""
        return settle.finish(self._context(), name, ended)

    def policy(self, name: str) -> Restart:
        """When the zone is to be started again."""
        return zones.load_config(self._context(), name).restart

    def stopped_by_user(self, name: str) -> bool:
        """Whether the zone's last end was a user's wish."""
        last = records.load_last(Paths(self._instance), name)
        return last is not None and last.by_user

    def recover(self) -> None:
        """Tidy what dead commands have left."""
        settle.recover(self._context())

    def survivors(self) -> Iterable[Survivor]:
        """The zones that run now."""
        return settle.survivors(self._context())

    def leave(self) -> None:
        """Remove what zones share if there is none left: the last thing that zoned itself does."""
        remains.teardown_when_last(self._context())

    def _context(self, warden: Warden | None = None) -> Context:
        return Context(
            instance=self._instance, paths=Paths(self._instance), facts=host_facts(), warden=warden
        )
