"""What the kernel would say of a zone that is exactly as its plan declares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.cgroups.steps.kinds import WriteDeviceLimit, WriteLimit
from zonectl.model.audit import Attributes, Connection, Credentials, Filter, Observed, Standing
from zonectl.planning.audit import masks, mounts
from zonectl.planning.audit.namespaces import ALWAYS_OWN, KINDS

if TYPE_CHECKING:
    from zonectl.model.config import ZoneConfig
    from zonectl.planning import ZonePlan

FIRST = 1_000_000


def as_declared(config: ZoneConfig, plan: ZonePlan) -> Observed:
    """Everything holds."""
    own = {*ALWAYS_OWN, *plan.clone.namespaces} | ({"time"} if config.namespaces.time else set())
    return Observed(
        pid=4711,
        credentials=_credentials(plan),
        filter=_filter(plan),
        attributes=Attributes(umask=plan.restrict.umask, oom_score_adj=0, nice=0, affinity="0-3", limits=()),
        kinds=frozenset(KINDS),
        shared=frozenset(KINDS) - own,
        group=f"/{plan.cgroup}",
        settings=tuple(
            _setting(step) for step in plan.before if isinstance(step, WriteLimit | WriteDeviceLimit)
        ),
        standings=_standings(config, plan),
        connection=_connection(plan),
    )


def _credentials(plan: ZonePlan) -> Credentials:
    ids = (FIRST + 33,) * 4 if plan.maps else (33,) * 4
    root = plan.restrict.user == "root"
    held = plan.restrict.capabilities if root else plan.restrict.ambient
    ambient = 0 if root else held
    return Credentials(
        uids=ids,
        gids=ids,
        uid_map=f"0 {FIRST} 65536",
        gid_map=f"0 {FIRST} 65536",
        inheritable=ambient,
        permitted=held,
        effective=held,
        bounding=plan.restrict.capabilities,
        ambient=ambient,
        no_new_privs=plan.restrict.no_new_privs,
    )


def _filter(plan: ZonePlan) -> Filter:
    wanted = plan.restrict.seccomp
    return Filter(mode=2, count=1, program=wanted.program) if wanted else Filter(mode=0, count=0)


def _setting(step: WriteLimit | WriteDeviceLimit) -> tuple[str, str]:
    name = step.file if isinstance(step, WriteLimit) else f"{step.file} {step.device}"
    return name, step.value + "\n"


def _standings(config: ZoneConfig, plan: ZonePlan) -> tuple[Standing, ...]:
    nodes = {f"/dev/{name}": f"device {number}" for name, number in mounts.NUMBERS.items()}
    expected = mounts.expected(config, plan)
    return (
        *(
            Standing(
                path=path,
                mounted=True,
                fstype=wanted.fstype or "ext4",
                options=wanted.flags | {"relatime"},
                kind="folder",
            )
            for path, wanted in expected.items()
        ),
        *(Standing(path=path, kind=nodes[path]) for path in mounts.paths(config, plan) if path in nodes),
        *(
            Standing(path=path, mounted=True, options=frozenset({"ro"}), kind=declared)
            for path, declared in masks.expected(plan)
        ),
    )


def _connection(plan: ZonePlan) -> Connection | None:
    for link in plan.links:
        return Connection(guarded=True, isolated=link.isolated)
    return None
