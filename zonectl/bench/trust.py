"""Whose programs a probe executes where there is less around it than the walls of the zone.

What is in a root is nobody's to trust (an image, an archive, a folder), nor what is mounted in it. The zone's own arm
may execute it, since a zone is made for that. Other arms have less, or other walls than the zone's file asks for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from zonectl.bench import site
from zonectl.bench.workloads import CATALOGUE
from zonectl.errors import BenchError
from zonectl.model.config import MountKind

if TYPE_CHECKING:
    from zonectl.bench.runner import Place, Runner
    from zonectl.model.config import ZoneConfig

OWN: Final = frozenset(each.asks for each in CATALOGUE if not each.executes)
"""What the probe does without a program of the root. All else is taken to execute one, whatever it is told."""

_DISTRUST: Final = "a program of the zone's root is executed within all of its walls, or not at all"

_ARGV: Final = "argv"
"""The setting that says which."""


def careful(probe: Runner, config: ZoneConfig) -> Runner:
    """The probe, which executes nothing but itself where the programs of the zone are not to be trusted."""
    return probe if trusts_programs(config) else limited(probe, _DISTRUST)


def limited(probe: Runner, why: str) -> Runner:
    """The probe, which executes nothing but itself: `why` is what is said to who asks for more."""
    return _Limited(probe, why)


def trusts_programs(config: ZoneConfig) -> bool:
    """Whether all programs of the zone are the host's own, and none is mounted over them."""
    mounted = (mount.target for mount in config.mounts if mount.kind is MountKind.BIND)
    return config.root.host and all(target.startswith(f"{site.INSIDE}/") for target in mounted)


class _Limited:
    """A probe that is asked to execute nothing but itself."""

    def __init__(self, probe: Runner, why: str) -> None:
        self._probe = probe
        self._why = why

    @property
    def place(self) -> Place:
        """What things are called where it runs."""
        return self._probe.place

    @property
    def broken(self) -> bool:
        """Whether the conversation has ended."""
        return self._probe.broken

    def sample(self, workload: str, loops: int, settings: dict[str, str]) -> int:
        """As the probe.

        Raises:
            BenchError: a program of the root would be executed; or as the probe.

        """
        if workload not in OWN or _ARGV in settings:
            raise BenchError(self._why)
        return self._probe.sample(workload, loops, settings)
