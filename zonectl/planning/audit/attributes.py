"""What else a process of the zone starts with: umask, rank, limits.

What a program may change itself in both directions (umask, soft limits, processors) is shown and never a difference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.model.config import Scheduler
from zonectl.model.limits import UNLIMITED
from zonectl.planning.audit.comparison import ordered, same, unread

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from zonectl.model.audit import Finding, Observed
    from zonectl.model.limits import Limit
    from zonectl.planning.plan import ZonePlan
    from zonectl.security.steps import Ceiling

AREA = "process"
_POLICIES = {0: "other", 1: "fifo", 2: "rr", 3: "batch", 5: "idle", 6: "deadline"}
"""By number (linux/sched.h)."""


def findings(plan: ZonePlan, observed: Observed) -> Iterator[Finding]:
    """The umask, the rank among the host's processes, then every limit of getrlimit(2)."""
    found, rank = observed.attributes, plan.rank
    yield _free("umask", f"{plan.restrict.umask:04o}", f"{found.umask:04o}")
    yield _no_less("nice", rank.nice or 0, found.nice)
    yield _no_less("oom_score_adj", rank.oom_score_adj or 0, found.oom_score_adj)
    if rank.scheduler is not Scheduler.INHERIT:
        policy = _POLICIES.get(found.policy, str(found.policy))
        yield same(AREA, "scheduler", declared=rank.scheduler.value, found=policy)
    if rank.cpus is not None:
        yield _free("affinity", _listed(rank.cpus), _listed(found.affinity))
    limits = dict(found.limits)
    for ceiling in plan.restrict.limits:
        yield _limit(ceiling, limits.get(ceiling.name))


def _free(name: str, declared: str, found: str) -> Finding:
    return ordered(AREA, name, words=(declared, found), equal=declared == found, less=True)


def _no_less(name: str, declared: int, found: int) -> Finding:
    """Of these more is a disadvantage, and any process may take it."""
    words = str(declared), str(found)
    return ordered(AREA, name, words=words, equal=declared == found, less=found > declared)


def _limit(ceiling: Ceiling, found: Limit | None) -> Finding:
    declared, name = ceiling.limit, f"limits.{ceiling.name}"
    if found is None:
        return unread(AREA, name, declared=_words(declared))
    words = _words(declared), _words(found)
    return ordered(AREA, name, words=words, equal=found == declared, less=found.hard <= declared.hard)


def _words(limit: Limit) -> str:
    return ":".join("unlimited" if part == UNLIMITED else str(part) for part in limit)


def _listed(cpus: Iterable[int]) -> str:
    return ",".join(map(str, sorted(cpus)))
