"""What a hostile probe is: one attack, how it is tried, what stops it, and which key takes that protection away."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.hostile.arms import Arm

REFUSED = frozenset({"EPERM", "EACCES"})
"""What a plain user may always be told."""


class Group(Enum):
    """What a probe is after; also the program that it is a sub-command of."""

    FILESYSTEM = "filesystem"
    PROC = "proc"
    CGROUP = "cgroup"
    SURFACE = "surface"
    TERMINAL = "terminal"
    NETWORK = "network"
    EXHAUSTION = "exhaustion"
    INJECTION = "injection"


class Verdict(Enum):
    """How an attempt ended. `VACUOUS`: the kernel lacks what is attacked, and a failure in a zone proves nothing."""

    BROKE = "broke"
    HELD = "held"
    VACUOUS = "vacuous"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an attempt ended: the verdict, the name of the errno ("" for none), and what was done or failed."""

    verdict: Verdict
    errno: str = ""
    detail: str = ""

    def __str__(self) -> str:
        """As the report words it."""
        return " ".join(
            filter(None, (self.verdict.value, self.errno, f"({self.detail})" if self.detail else ""))
        )


def broke(detail: str = "") -> Outcome:
    """The attack has succeeded."""
    return Outcome(verdict=Verdict.BROKE, detail=detail)


def held(errno: str = "", detail: str = "") -> Outcome:
    """It has failed."""
    return Outcome(verdict=Verdict.HELD, errno=errno, detail=detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """A zone without the protection: the zone file's `keys`, as `--set` takes them, and what is `harnessed` away.

    `harnessed` is of `tests.hostile.without.STEPS`: a step of zonectl's that no key removes, several joined by "+".
    `apart`: it has the zone to itself, which does not survive it.
    """

    keys: tuple[str, ...] = ()
    harnessed: str = ""
    apart: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        """Each of what is taken away."""
        return (*self.keys, *((f"harness: {self.harnessed}",) if self.harnessed else ()))

    def __str__(self) -> str:
        """All of it."""
        return ", ".join(self.words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One attack.

    `words` are the arguments of the group's program; `{name}` in them stands for a value of the scene's. Where a
    program is not enough `attempt` makes the attempt and judges it. `errnos` are what it may fail with in a zone,
    "" for none. `base` is the zone file that it is tried in, changed by the keys `given` where another protection would
    hide the one in question. `lane`: its host arm is run on a kernel of its own,
    since it would harm the host, or since this host's kernel lacks what is attacked.
    """

    name: str
    group: Group
    source: str
    words: tuple[str, ...] = ()
    attempt: Callable[[Arm], Outcome] | None = None
    errnos: frozenset[str] = REFUSED
    protection: str
    removal: Removal
    base: str = "default"
    given: tuple[str, ...] = ()
    lane: bool = False

    def run(self, arm: Arm) -> Outcome:
        """Try it in an arm."""
        return self.attempt(arm) if self.attempt else arm.probe(self.group.value, *self.words)


def named(*names: str) -> frozenset[str]:
    """Those errnos, besides what a plain user may always be told."""
    return REFUSED | frozenset(names)
