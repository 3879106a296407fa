"""Probes that use up what zones share. An attack has succeeded when others are starved, or when nothing stops it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tests.e2e.instance import Done
from tests.hostile.arms import HostArm, read
from tests.hostile.groups.keys import HOST_IDS
from tests.hostile.probe import Group, Outcome, Probe, Removal, broke

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.hostile.arms import Arm

CANARY_USER = 54321
"""A user of the host whom the attack may starve, where it succeeds; nobody else has that id."""


def _starving(word: str, *amount: str, few: tuple[str, ...]) -> Callable[[Arm], Outcome]:
    """Take all of it in the arm, and see that the host and the neighbour zone still get a `few`."""

    def attempt(arm: Arm) -> Outcome:
        mine = as_canary(arm)
        with mine.popen(
            *mine.program("exhaustion", word, *amount),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as attacker:
            assert attacker.stdin is not None
            assert attacker.stdout is not None
            first = attacker.stdout.readline()
            starved = [] if not first.startswith(b"taken") else others(arm, word, few)
            out, err = attacker.communicate()
        if starved:
            return broke(f"starved: {', '.join(starved)}; {first.decode().split(chr(9))[-1].strip()}")
        return read(Done(attacker.returncode, first + out, err))

    return attempt


def as_canary(arm: Arm) -> Arm:
    """The arm itself, or one whose user may be starved where nothing but ids is between it and the host's root."""
    return arm.as_user(CANARY_USER) if not arm.inside or HOST_IDS in arm.keys else arm


def others(arm: Arm, word: str, few: tuple[str, ...]) -> list[str]:
    """Who gets nothing any more, while the attack goes on."""
    scene = arm.scene
    candidate = HostArm(scene)
    harmless = not arm.inside or HOST_IDS in arm.keys
    parties: dict[str, Arm] = {"the host": candidate.as_user(CANARY_USER) if harmless else candidate}
    if arm.inside and not harmless:
        parties["the neighbour"] = scene.arm_in(scene.neighbour)
    starved = []
    for name, party in parties.items():
        done = party.execute(*party.program("exhaustion", word, *few), input=b"")
        if b"broke" not in done.stdout:
            starved.append(f"{name} ({done.out.strip()[-60:]}{done.err.strip()[-60:]})")
    if not scene.neighbour_answers():
        starved.append("the neighbour's service")
    return starved


def _probe(name: str, source: str, attempt: Callable[[Arm], Outcome], *, protection: str, keys: tuple[str, ...] = (),
           errnos: frozenset[str], harnessed: str = "", given: tuple[str, ...] = ()) -> Probe:  # fmt: skip
    return Probe(
        name=name,
        group=Group.EXHAUSTION,
        source=source,
        attempt=attempt,
        errnos=errnos,
        protection=protection,
        given=given,
        removal=Removal(keys=keys, harnessed=harnessed),
    )


_COUNTED = "what the zone takes is counted as its own ids', not as root's of the host"

PROBES = (
    _probe("inotify", "nobody can watch files any more", _starving("inotify", "100000", few=("3",)),
           protection=_COUNTED, keys=(HOST_IDS,), errnos=frozenset({"EMFILE"})),
    _probe("message-queues", "nobody can make a message queue any more", _starving("queues", "4096", few=("1",)),
           protection=_COUNTED, keys=(HOST_IDS,), errnos=frozenset({"EMFILE", "ENOSPC"})),
    _probe("pending-signals", "no signal can wait any more", _starving("signals", "4000000", few=("40000",)),
           protection=_COUNTED, keys=(HOST_IDS,), errnos=frozenset({"EAGAIN"})),
    _probe("terminals", "nobody can have a terminal any more", _starving("terminals", "1500", few=("3",)),
           protection="a limit of the zone's own", errnos=frozenset({"ENOSPC", "EMFILE"}),
           harnessed="own-amounts"),
    _probe("memory-file-system", "memory by files in /dev/shm",
           _starving("bytes", "/dev/shm", "300", few=("/dev/shm", "1")),
           protection="a limit of the zone's own", errnos=frozenset({"ENOSPC"}), harnessed="own-amounts"),
    _probe("memory-by-inodes", "memory by empty files in /dev/shm",
           _starving("files", "/dev/shm", "40000", few=("/dev/shm", "3")),
           protection="a limit of the zone's own", errnos=frozenset({"ENOSPC"}), harnessed="own-amounts"),
)  # fmt: skip

# On a kernel of their own alone: the controllers are of version 2 there, and nobody else would miss what is used up.
LANE_PROBES = (
    _probe("fork-bomb", "processes without end", _starving("processes", "300", few=("3",)),
           given=("resources.pids=64",), keys=("resources.pids=1000",), protection="resources.pids",
           errnos=frozenset({"EAGAIN"})),
    _probe("memory", "memory without end", _starving("memory", "200", few=("1",)),
           given=("resources.memory=64MiB", "resources.swap=0"), keys=("resources.memory=1GiB",),
           protection="resources.memory", errnos=frozenset({"ENOMEM"})),
)  # fmt: skip
