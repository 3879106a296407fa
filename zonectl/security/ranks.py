"""A zone process's rank among the host's: niceness, OOM score, processors, and hard limits that have to be raised.

What goes up needs the host's privileges. So the worker does it to init, which is in a user namespace of its own from
its birth, and to an exec's process before that joins the zone.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from zonectl.errors import HostLacks, SyscallError
from zonectl.kernel import attributes, ranking
from zonectl.model.capabilities import mask
from zonectl.model.config import Scheduler
from zonectl.model.limits import Limit
from zonectl.security import ceilings

if TYPE_CHECKING:
    from collections.abc import Callable

    from zonectl.security.steps import Ceiling, Rank

_POLICIES = {
    Scheduler.OTHER: os.SCHED_OTHER,
    Scheduler.BATCH: os.SCHED_BATCH,
    Scheduler.IDLE: os.SCHED_IDLE,
}
_RESOURCE = mask(("sys_resource",))
_NICE = mask(("sys_nice",))
_NR_OPEN = "/proc/sys/fs/nr_open"


def require(step: Rank) -> None:
    """See, before anything is made, that zonectl may give what the zone file asks for.

    Raises:
        HostLacks: it may not; the key is named, and what there is.

    """
    for ceiling in step.ceilings:
        if ceiling.declared:
            _require_limit(ceiling)
    lowest = _lowest_nice() if step.nice is not None else -20
    if step.nice is not None and step.nice < lowest:
        msg = f"process.nice: {step.nice} is below {lowest}, and lowering it needs CAP_SYS_NICE"
        raise HostLacks(msg, hint="raise it, or run zonectl with that capability")
    if step.oom_score_adj is not None:
        _require_oom_score(step.oom_score_adj)
    if step.cpus is not None and (missing := set(step.cpus) - _online()):
        msg = f"process.affinity: this host has no processor {','.join(map(str, sorted(missing)))} for zones"
        raise HostLacks(msg)


def apply(step: Rank, pid: int) -> None:
    """Rank the process `pid`, a child that has not been waited for; 0 is this process.

    Raises:
        HostLacks: the kernel refuses what the zone file asks for.

    """
    _set_policy(step.scheduler, pid)
    nice, score, cpus = step.nice, step.oom_score_adj, step.cpus
    _ask(lambda: os.setpriority(os.PRIO_PROCESS, pid, nice or 0), "process.nice", strict=nice is not None)
    every = range(os.sysconf("SC_NPROCESSORS_CONF"))
    affine = every if cpus is None else cpus
    _ask(lambda: os.sched_setaffinity(pid, affine), "process.affinity", strict=cpus is not None)
    ranking.reset_ioprio(pid)
    _ask(
        lambda: _write(f"/proc/{pid or 'self'}/oom_score_adj", score or 0),
        "process.oom_score_adj",
        strict=score is not None,
    )
    _raise_limits(step, pid)


def _set_policy(scheduler: Scheduler, pid: int) -> None:
    if scheduler is Scheduler.INHERIT:
        return
    policy = _POLICIES[scheduler]
    if os.sched_getscheduler(0) != policy:
        os.sched_setscheduler(pid, policy, os.sched_param(0))


def _ask(change: Callable[[], None], key: str, *, strict: bool) -> None:
    """Make a change that the kernel may refuse: then, if the zone file asks for it, the start fails."""
    try:
        change()
    except OSError as error:
        if strict:
            raise HostLacks(f"{key}: {error.strerror}") from error


def _raise_limits(step: Rank, pid: int) -> None:
    """Raise what is lower than it shall be; the process itself sets the limits, at the end."""
    lower = [
        (each, now) for each in step.ceilings if (now := ceilings.current(each.number)).hard < each.limit.hard
    ]
    if not lower or not _has(_RESOURCE):
        return
    for ceiling, now in lower:
        try:
            ceilings.change(ceiling.number, Limit(now.soft, ceiling.limit.hard), pid=pid)
        except SyscallError:
            if ceiling.declared:
                raise


def _require_limit(ceiling: Ceiling) -> None:
    asked, most = ceiling.limit.hard, ceilings.current(ceiling.number).hard
    if asked <= most:
        return
    key = f"limits.{ceiling.name}"
    if not _has(_RESOURCE):
        msg = f"{key}: {ceilings.shown(asked)} is above the hard limit, {most}, and raising it needs CAP_SYS_RESOURCE"
        raise HostLacks(msg, hint=f"set at most {most}, or run zonectl with that capability")
    if ceiling.name == "nofile" and asked > (most := _number(_NR_OPEN)):
        raise HostLacks(f"{key}: {ceilings.shown(asked)} is above fs.nr_open, {most}")


def _lowest_nice() -> int:
    """Below the nice value of now, RLIMIT_NICE and CAP_SYS_NICE count (setpriority(2))."""
    if _has(_NICE):
        return -20
    now = os.getpriority(os.PRIO_PROCESS, 0)
    return min(now, 20 - min(ceilings.current(13).soft, 40))


def _require_oom_score(score: int) -> None:
    """The lowest that is allowed is not shown anywhere: tried on this process, and taken back."""
    path = "/proc/self/oom_score_adj"
    before = _number(path)
    try:
        _write(path, score)
    except OSError as error:
        msg = f"process.oom_score_adj: {score} is below what zonectl has, and lowering it needs CAP_SYS_RESOURCE"
        raise HostLacks(msg, hint="raise it, or run zonectl with that capability") from error
    _write(path, before)


def _online() -> frozenset[int]:
    """The processors that can be had: of those that are online, what this process's group may use."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, range(os.sysconf("SC_NPROCESSORS_CONF")))
    try:
        return frozenset(os.sched_getaffinity(0))
    finally:
        os.sched_setaffinity(0, before)


def _has(capability: int) -> bool:
    return bool(attributes.capget().effective & capability)


def _number(path: str) -> int:
    with open(path, "rb", buffering=0) as file:
        return int(file.readall() or b"0")


def _write(path: str, number: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, b"%d" % number)
    finally:
        os.close(fd)
