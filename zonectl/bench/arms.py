"""The arms that every run has: bare metal, bare metal once more, and the zone.

The probe of all three has two pipes and the same processor, limits, environment and file system below. A probe that is
started anew in a zone is the program of a new zone: nothing is executed into one that is there.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from zonectl.bench import pipes, site
from zonectl.bench.durable import durable
from zonectl.bench.hosted import Hosted, Pipes, groups, hosted
from zonectl.bench.results import ArmFacts, Kind
from zonectl.bench.runner import Place
from zonectl.runtime.run import running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zonectl.bench.runner import Runner
    from zonectl.bench.site import Site

BARE = ArmFacts(
    name="bare", kind=Kind.BARE, title="bare metal", differs="the reference: a process on the host"
)
CONTROL = ArmFacts(
    name="control",
    kind=Kind.CONTROL,
    title="bare metal, once more",
    differs="nothing: another process like it, for what differs is noise",
)
PLANT = "plant"
"""The setting by which a workload of the processor does so many percent more."""

ZONE = ArmFacts(name="zone", kind=Kind.ZONE, title="the zone", differs="all of the zone's walls")


class HostArm:
    """The probe on the host, in a new folder and a new group each time."""

    def __init__(self, here: Site, facts: ArmFacts = BARE) -> None:
        self._here = here
        self._facts = facts

    @property
    def facts(self) -> ArmFacts:
        """How reports name it."""
        return self._facts

    @contextmanager
    def start(self) -> Iterator[Runner]:
        """A probe started anew; raises as `hosted.groups` and `hosted.hosted`."""
        here = self._here
        with ExitStack() as held:
            standing = held.enter_context(site.standing(here.context, here.config))
            root, bind = (site.make_folder(f"{standing.folder}/{name}") for name in ("root", "bind"))
            group = held.enter_context(groups(here.context, here.config, standing.zone_id))
            streams = Pipes(held)
            argv, config = (here.probe, site.SERVE), here.config
            given = Hosted(argv=argv, folder=root, config=config, group=group, env=config.env)
            held.enter_context(hosted(given, streams))
            place = Place(root_folder=root, bind_folder=bind, server=here.server)
            yield pipes.connect(streams.requests, streams.answers, place=place)


class ZoneArm:
    """The probe as the program of a zone that lives as long as it does."""

    def __init__(self, here: Site, facts: ArmFacts = ZONE) -> None:
        self._here = here
        self._facts = facts

    @property
    def facts(self) -> ArmFacts:
        """How reports name it."""
        return self._facts

    @contextmanager
    def start(self) -> Iterator[Runner]:
        """A probe in a new zone; raises as `runtime.run.running`."""
        here = self._here
        with ExitStack() as held:
            streams = Pipes(held)
            held.enter_context(running(here.context, here.config, streams, reshape=durable))
            streams.let_go()
            place = Place(root_folder=site.INSIDE, bind_folder=site.BIND_INSIDE, server=here.server)
            yield pipes.connect(streams.requests, streams.answers, place=place)


class PlantedArm:
    """Bare metal that has so many percent more to do: what the tool must find. In the place of the zone."""

    def __init__(self, here: Site, percent: float) -> None:
        self._host = HostArm(here)
        self._percent = percent

    @property
    def facts(self) -> ArmFacts:
        """How reports name it."""
        planted = f"{self._percent:g} % more work"
        return ArmFacts(
            name="zone", kind=Kind.ZONE, title=f"bare metal with {planted}", differs=f"{planted}, planted"
        )

    @contextmanager
    def start(self) -> Iterator[Runner]:
        """As on bare metal."""
        with self._host.start() as runner:
            yield _PlantedRunner(runner, self._percent)


class _PlantedRunner:
    """A probe that is told to do more than it says."""

    def __init__(self, runner: Runner, percent: float) -> None:
        self._runner = runner
        self._percent = percent

    @property
    def place(self) -> Place:
        """As without."""
        return self._runner.place

    @property
    def broken(self) -> bool:
        """As without."""
        return self._runner.broken

    def sample(self, workload: str, loops: int, settings: dict[str, str]) -> int:
        """As without, with the setting that plants."""
        return self._runner.sample(workload, loops, {**settings, PLANT: f"{self._percent:g}"})
