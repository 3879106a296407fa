"""What the kernel says of a zone's init and its group: all that an audit compares, and nothing of the zone's own words.

Everything is read while a pidfd of init is held, which has not exited afterwards: none of it is another process's.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from zonectl.cgroups import standing as group_files
from zonectl.errors import SyscallError, ZonectlError
from zonectl.kernel import proc, process, ptrace
from zonectl.model import limits
from zonectl.model.audit import Attributes, Connection, Credentials, Filter, Observed
from zonectl.namespaces import standing, sysctls
from zonectl.namespaces.steps.nodes import MakeNodes
from zonectl.network import standing as port
from zonectl.planning.audit.sysctls import written
from zonectl.runtime.status import open_init, require

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from zonectl.model.limits import Limit
    from zonectl.planning import ZonePlan
    from zonectl.runtime.context import Context

SECCOMP_MODE_FILTER = 2

_LIMITS = {
    "cpu": "Max cpu time",
    "fsize": "Max file size",
    "data": "Max data size",
    "stack": "Max stack size",
    "core": "Max core file size",
    "rss": "Max resident set",
    "nproc": "Max processes",
    "nofile": "Max open files",
    "memlock": "Max locked memory",
    "as": "Max address space",
    "locks": "Max file locks",
    "sigpending": "Max pending signals",
    "msgqueue": "Max msgqueue size",
    "nice": "Max nice priority",
    "rtprio": "Max realtime priority",
    "rttime": "Max realtime timeout",
}
"""What the kernel calls them in /proc/PID/limits (fs/proc/base.c)."""


def observe(context: Context, name: str, plan: ZonePlan, *, paths: Iterable[str]) -> Observed:
    """What there is to see of the zone `name`, whose plan is `plan`, and at `paths` in its root.

    Raises:
        NoSuchZone: there is none.
        StateError: its program does not run: before, nothing restricts it yet.
        ZonectlError: it ended meanwhile.

    """
    found = require(context, name, "show --security")
    pidfd = open_init(found.live) if found.live else None
    if found.live is None or pidfd is None:
        raise ZonectlError("the zone has ended", zone=name)
    try:
        observed = _observe(found.live.pid, pidfd, plan=plan, paths=paths)
        if found.record is not None:
            observed = replace(observed, connection=_connection(context, plan, found.record.id))
        if process.pidfd_exited(pidfd):
            raise ZonectlError("the zone has ended", zone=name)
    except SyscallError as error:
        if process.pidfd_exited(pidfd):
            raise ZonectlError("the zone has ended", zone=name) from error
        raise
    finally:
        os.close(pidfd)
    return observed


def _observe(pid: int, pidfd: int, *, plan: ZonePlan, paths: Iterable[str]) -> Observed:
    fields = proc.status_fields(pid)
    if "Seccomp" not in fields:
        raise ZonectlError(f"the kernel tells nothing of process {pid}")
    ours, theirs = proc.namespace_ids("self"), proc.namespace_ids(pid)
    return Observed(
        pid=pid,
        credentials=_credentials(pid, fields),
        filter=_filter(pid, fields),
        attributes=_attributes(pid, fields),
        kinds=frozenset(theirs.keys() & ours.keys()),
        shared=frozenset(kind for kind, inode in theirs.items() if ours.get(kind) == inode),
        group=proc.cgroup_of(pid) or "",
        settings=group_files.settings(plan.before),
        devices=group_files.device_filter(plan.devices),
        nodes=_nodes(plan),
        sysctls=sysctls.read_back(pidfd, pid=pid, names=[name for name, _ in written(plan)]),
        standings=standing.standings(pid, paths),
    )


def _connection(context: Context, plan: ZonePlan, zone_id: str) -> Connection | None:
    for link in plan.links:
        return port.connection(context.instance, zone_id, bridge=link.bridge)
    return None


def _credentials(pid: int, fields: dict[str, str]) -> Credentials:
    return Credentials(
        uids=tuple(map(int, fields["Uid"].split())),
        gids=tuple(map(int, fields["Gid"].split())),
        uid_map=_one_line(proc.read(pid, "uid_map")),
        gid_map=_one_line(proc.read(pid, "gid_map")),
        inheritable=int(fields["CapInh"], 16),
        permitted=int(fields["CapPrm"], 16),
        effective=int(fields["CapEff"], 16),
        bounding=int(fields["CapBnd"], 16),
        ambient=int(fields["CapAmb"], 16),
        no_new_privs=fields["NoNewPrivs"] == "1",
    )


def _one_line(text: str | None) -> str:
    return "; ".join(" ".join(line.split()) for line in (text or "").splitlines())


def _filter(pid: int, fields: dict[str, str]) -> Filter:
    mode, count = int(fields["Seccomp"]), int(fields.get("Seccomp_filters", "0"))
    if mode != SECCOMP_MODE_FILTER:
        return Filter(mode=mode, count=count)
    try:
        return Filter(mode=mode, count=count, program=ptrace.first_seccomp_filter(pid))
    except SyscallError as error:
        return Filter(mode=mode, count=count, reason=error.message)


def _attributes(pid: int, fields: dict[str, str]) -> Attributes:
    return Attributes(
        umask=int(fields["Umask"], 8),
        oom_score_adj=int(proc.read(pid, "oom_score_adj") or 0),
        nice=proc.nice(pid) or 0,
        policy=os.sched_getscheduler(pid),
        affinity=frozenset(os.sched_getaffinity(pid)),
        limits=tuple(_limits(pid)),
    )


def _limits(pid: int) -> Iterator[tuple[str, Limit]]:
    found = proc.resource_limits(pid)
    for name, words in _LIMITS.items():
        if words in found:
            soft, hard = (limits.UNLIMITED if part is None else part for part in found[words])
            yield name, limits.Limit(soft, hard)


def _nodes(plan: ZonePlan) -> tuple[tuple[str, str], ...]:
    """Where devices of the host are to be in the zone, and what each is here now, "" for what is gone."""
    made = (node for step in plan.trees if isinstance(step, MakeNodes) for node in step.nodes)
    return tuple((node.target, _device(node.path)) for node in made)


def _device(path: str) -> str:
    try:
        return standing.device(os.stat(path))
    except OSError:
        return ""
