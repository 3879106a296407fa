"""A probe that runs somewhere, asked line by line; and the arm, which knows where that is.

The protocol: the probe greets with `zonectl-probe VERSION WORKLOAD…`. Each line `WORKLOAD LOOPS [key=value…]` on its
standard input is answered by one of

    ok NANOSECONDS      that many operations took so long, by CLOCK_MONOTONIC_RAW
    no REASON           it cannot be done here

and it ends with its input. Values hold no white space.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from zonectl.bench.results import ArmFacts

PROTOCOL_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What an arm calls the things that workloads need: paths as the probe sees them.

    `root_folder` is a folder to write to on the arm's root file system, None where that is none like the others';
    `bind_folder` one that is bound from the host, for bare metal simply another one. `server` is the host's echo server
    as it is reached from there, "ADDRESS:PORT", None where there is no network.
    """

    root_folder: str | None
    bind_folder: str | None
    server: str | None


class Runner(Protocol):
    """A running probe."""

    @property
    def place(self) -> Place:
        """What things are called where it runs."""
        ...

    @property
    def broken(self) -> bool:
        """Whether the conversation has ended: nothing can be asked any more."""
        ...

    def sample(self, workload: str, loops: int, settings: dict[str, str]) -> int:
        """The nanoseconds that so many operations take.

        Raises:
            BenchError: it cannot be done there, with the probe's reason; or the probe has ended.

        """
        ...


class Arm(Protocol):
    """A place where a probe can be started, as often as wanted."""

    @property
    def facts(self) -> ArmFacts:
        """How reports name it."""
        ...

    def start(self) -> AbstractContextManager[Runner]:
        """A probe started anew, which ends with the context. What it needs (a zone) may be made at the first call.

        Raises:
            ZonectlError: it cannot run here; the reason is reported, and the run goes on without it.

        """
        ...
