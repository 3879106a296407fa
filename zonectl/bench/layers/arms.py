"""The probe on a rung: the program of a run whose plan is thinned."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from zonectl.bench import pipes, site
from zonectl.bench.durable import durable
from zonectl.bench.hosted import Pipes
from zonectl.bench.layers import thinning
from zonectl.bench.layers.catalogue import CHROOT, HOST
from zonectl.bench.runner import Place
from zonectl.bench.trust import careful, limited
from zonectl.model.config import NetworkMode, RootMode
from zonectl.runtime.run import running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zonectl.bench.layers.rungs import Rung
    from zonectl.bench.results import ArmFacts
    from zonectl.bench.runner import Runner
    from zonectl.bench.site import Site
    from zonectl.model.config import ZoneConfig
    from zonectl.planning import ZonePlan


class RungArm:
    """The probe on a rung, in a new run each time; what a killed one leaves is what a killed run leaves.

    Where the zone has an overlay, the rungs below it share one copy of its root: copying an image for each start would
    take more time than what is measured, and leave more to be written back than the zone itself does. Such a run is
    made with the empty folder `nothing` for a root, in the place of which the plan has the copy; in that, each probe
    has a new folder to work in.
    """

    def __init__(self, here: Site, rung: Rung, *, nothing: str) -> None:
        self._here = here
        self._rung = rung
        self._nothing = nothing
        self._shared = rung.config.root.path if _shares_copy(here.config, rung.config) else None

    @property
    def facts(self) -> ArmFacts:
        """How reports name it."""
        return self._rung.facts

    @contextmanager
    def start(self) -> Iterator[Runner]:
        """A probe started anew.

        Raises:
            HostLacks: the host does not have what the rung adds.
            ZonectlError: as `runtime.run.running`.

        """
        shaping = _Shaping(self._rung, program=self._here.probe, shared=self._shared)
        with ExitStack() as held:
            folder = held.enter_context(self._working())
            streams = _Quiet(held)
            held.enter_context(running(self._here.context, self._config(), streams, reshape=shaping.reshape))
            streams.let_go()
            place = self._place(shaping.outside, folder)
            probe = pipes.connect(streams.requests, streams.answers, place=place)
            yield self._restrained(probe)

    def _config(self) -> ZoneConfig:
        config = self._rung.config
        return replace(config, root=replace(config.root, path=self._nothing)) if self._shared else config

    @contextmanager
    def _working(self) -> Iterator[str]:
        """A folder of the root to work in, gone in the end where the root is not."""
        if not self._shared:
            yield site.INSIDE
            return
        folder = f"{site.INSIDE}/{self._rung.facts.name}"
        # All of the path is ours (base): a hostile root has no part in it.
        site.make_folder(f"{self._shared}{folder}")
        try:
            yield folder
        finally:
            shutil.rmtree(f"{self._shared}{folder}", ignore_errors=True)

    def _restrained(self, probe: Runner) -> Runner:
        if self._rung.layer is CHROOT and self._here.config.root.host:
            return limited(
                probe, "nothing is mounted where only the root is changed, nor the host's programs"
            )
        return careful(probe, self._here.config)

    def _place(self, outside: str, folder: str) -> Place:
        connected = self._rung.config.network.mode is not NetworkMode.NONE
        return Place(
            root_folder=f"{outside}{folder}",
            bind_folder=f"{outside}{site.BIND_INSIDE}",
            server=self._here.server if connected else None,
        )


def _shares_copy(zone: ZoneConfig, rung: ZoneConfig) -> bool:
    return rung.root.mode is RootMode.COPY and zone.root.mode is not RootMode.COPY


class _Shaping:
    """Thins the plan of one run. `outside` is then what leads to its root from outside, "" where it is inside."""

    def __init__(self, rung: Rung, *, program: str, shared: str | None) -> None:
        self._rung = rung
        self._program = program
        self._shared = shared
        self.outside = ""

    def reshape(self, plan: ZonePlan) -> ZonePlan:
        if self._shared:
            plan = thinning.rooted(plan, self._shared)
        thinned = self._rung.reshape(durable(plan))
        if self._rung.layer is not HOST:
            return thinned
        self.outside = thinning.copy_of_root(plan)
        return replace(thinned, execute=replace(thinned.execute, argv=(self._program, site.SERVE)))


class _Quiet(Pipes):
    """Pipes of which no errors come: a root that is only changed to has no /dev/null."""

    def __init__(self, held: ExitStack) -> None:
        super().__init__(held)
        self._null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        held.callback(os.close, self._null)

    def streams(self) -> tuple[int | None, int | None, int | None]:
        """The other ends, and the host's /dev/null."""
        requests, answers, _ = super().streams()
        return requests, answers, self._null
