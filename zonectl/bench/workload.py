"""What a workload is: something the probe is asked for, and what it must be told of the place where it runs."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from zonectl.errors import BenchError

if TYPE_CHECKING:
    from zonectl.bench.results import WorkloadFacts
    from zonectl.bench.runner import Place


class Extent(enum.StrEnum):
    """Which runs a workload is part of."""

    QUICK = "quick"  # of every run
    FULL = "full"  # of runs that are not --quick
    ASKED = "asked"  # only when it is named


class Need(enum.StrEnum):
    """What a workload must be told of the place where the probe runs."""

    ROOT_FOLDER = "root folder"
    BIND_FOLDER = "bind folder"
    SERVER = "server"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Something to measure."""

    facts: WorkloadFacts
    asks: str  # what the probe calls it
    extent: Extent
    needs: Need | None = None
    settings: tuple[tuple[str, str], ...] = ()  # the same everywhere
    executes: bool = True  # programs of the root; False: known to execute nothing but the probe itself

    def settings_at(self, place: Place) -> dict[str, str]:
        """What the probe that runs there is to be told.

        Raises:
            BenchError: the place has nothing of what the workload needs.

        """
        return dict(self.settings) | _told(self.needs, place)


def _told(need: Need | None, place: Place) -> dict[str, str]:
    match need:
        case None:
            return {}
        case Need.ROOT_FOLDER:
            return {"folder": _there(place.root_folder, "no file system like the others'")}
        case Need.BIND_FOLDER:
            return {"folder": _there(place.bind_folder, "no folder is bound from the host")}
        case Need.SERVER:
            return {"server": _there(place.server, "no network")}
        case _:
            assert_never(need)


def _there(value: str | None, otherwise: str) -> str:
    if value is None:
        raise BenchError(otherwise)
    return value
