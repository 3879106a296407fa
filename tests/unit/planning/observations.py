"""What the kernel would say of a zone that is exactly as its plan declares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.cgroups.steps.kinds import WriteDeviceLimit, WriteLimit
from zonectl.model.audit import Attributes, Connection, Credentials, DeviceFilter, Filter, Observed, Standing
from zonectl.model.config import Scheduler
from zonectl.model.devices import NODES
from zonectl.namespaces.steps.nodes import MakeNodes
from zonectl.planning.audit import devices, masks, mounts, sysctls
from zonectl.planning.audit.namespaces import ALWAYS_OWN, KINDS

if TYPE_CHECKING:
    from zonectl.model.config import ZoneConfig
    from zonectl.planning import ZonePlan

FIRST = 1_000_000
_POLICIES = {Scheduler.OTHER: 0, Scheduler.BATCH: 3, Scheduler.IDLE: 5, Scheduler.INHERIT: 1}


def as_declared(config: ZoneConfig, plan: ZonePlan) -> Observed:
    """Everything holds."""
    own = {*ALWAYS_OWN, *plan.clone.namespaces} | ({"time"} if config.namespaces.time else set())
    return Observed(
        pid=4711,
        credentials=_credentials(plan),
        filter=_filter(plan),
        attributes=Attributes(
            umask=plan.restrict.umask,
            oom_score_adj=plan.rank.oom_score_adj or 0,
            nice=plan.rank.nice or 0,
            policy=_POLICIES[plan.rank.scheduler],
            affinity=frozenset(plan.rank.cpus or range(4)),
            limits=tuple((ceiling.name, ceiling.limit) for ceiling in plan.restrict.limits),
        ),
        kinds=frozenset(KINDS),
        shared=frozenset(KINDS) - own,
        group=f"/{plan.cgroup}",
        settings=tuple(
            _setting(step) for step in plan.before if isinstance(step, WriteLimit | WriteDeviceLimit)
        ),
        standings=_standings(config, plan),
        nodes=_nodes(plan),
        devices=_devices(plan),
        connection=_connection(plan),
        sysctls=tuple((name, f"{value}\n") for name, value in sysctls.written(plan)),
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
    usual = {f"/dev/{name}": "device {}:{}".format(*number) for name, number in NODES.items()}
    nodes = {**usual, **dict(_nodes(plan))}
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
        *(Standing(path=path, kind=nodes[path]) for path in devices.paths(plan)),
        *(
            Standing(path=path, mounted=True, options=frozenset({"ro"}), kind=declared)
            for path, declared in masks.expected(plan)
        ),
    )


def _nodes(plan: ZonePlan) -> tuple[tuple[str, str], ...]:
    made = (node for step in plan.trees if isinstance(step, MakeNodes) for node in step.nodes)
    return tuple((node.target, "device 10:229") for node in made)


def _devices(plan: ZonePlan) -> DeviceFilter | None:
    return DeviceFilter(attached=("0123456789abcdef",), wanted="0123456789abcdef") if plan.devices else None


def _connection(plan: ZonePlan) -> Connection | None:
    for link in plan.links:
        return Connection(guarded=True, isolated=link.isolated)
    return None
