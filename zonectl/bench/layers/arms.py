"""The probe on a rung: the program of a run whose plan is thinned."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from zonectl.bench import pipes, site
from zonectl.bench.durable import durable
from zonectl.bench.hosted import Pipes
from zonectl.bench.layers import thinning
from zonectl.bench.layers.catalogue import HOST
from zonectl.bench.runner import Place
from zonectl.bench.trust import careful
from zonectl.model.config import NetworkMode
from zonectl.runtime.run import running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zonectl.bench.layers.rungs import Rung
    from zonectl.bench.results import ArmFacts
    from zonectl.bench.runner import Runner
    from zonectl.bench.site import Site
    from zonectl.planning import ZonePlan


class RungArm:
    """The probe on a rung, in a new run each time; what a killed one leaves is what a killed run leaves."""

    def __init__(self, here: Site, rung: Rung) -> None:
        self._here = here
        self._rung = rung

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
        shaping = _Shaping(self._rung, program=self._here.probe)
        with ExitStack() as held:
            streams = _Quiet(held)
            held.enter_context(
                running(self._here.context, self._rung.config, streams, reshape=shaping.reshape)
            )
            streams.let_go()
            place = self._place(shaping.outside)
            probe = pipes.connect(streams.requests, streams.answers, place=place)
            yield careful(probe, self._here.config)

    def _place(self, outside: str) -> Place:
        connected = self._rung.config.network.mode is not NetworkMode.NONE
        return Place(
            root_folder=f"{outside}{site.INSIDE}",
            bind_folder=f"{outside}{site.BIND_INSIDE}",
            server=self._here.server if connected else None,
        )


class _Shaping:
    """Thins the plan of one run. `outside` is then what leads to its root from outside, "" where it is inside."""

    def __init__(self, rung: Rung, *, program: str) -> None:
        self._rung = rung
        self._program = program
        self.outside = ""

    def reshape(self, plan: ZonePlan) -> ZonePlan:
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
