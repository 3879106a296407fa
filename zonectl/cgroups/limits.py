"""All settings of a zone, and which of them this host cannot enforce; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zonectl.cgroups import cpu, cpuset, hugetlb, io, memory, pids

if TYPE_CHECKING:
    from zonectl.cgroups.setting import Setting
    from zonectl.model.config import ResourcesConfig
    from zonectl.model.facts import CgroupFacts

_V1_NAMES = {"io": "blkio"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """The keys `keys` of `[resources]` cannot be enforced, since `controller` does not do its part, for `reason`."""

    controller: str
    keys: tuple[str, ...]
    reason: str

    def __str__(self) -> str:
        return f"{self.controller}: {self.reason}"

    @property
    def warning(self) -> str:
        """What the record keeps when the zone runs without: which keys do nothing, and why."""
        keys = ", ".join(f"resources.{key}" for key in self.keys)
        return f"not enforced: {keys} ({self})"


def settings(resources: ResourcesConfig) -> tuple[Setting, ...]:
    """What all keys of `[resources]` write, in the order in which it is written."""
    return (
        *cpu.settings(resources),
        *cpuset.settings(resources),
        *memory.settings(resources),
        *pids.settings(resources),
        *io.settings(resources),
        *hugetlb.settings(resources),
    )


def enforceable(resources: ResourcesConfig, cgroup: CgroupFacts) -> tuple[Setting, ...]:
    """Those of `settings` that this host can enforce."""
    return tuple(setting for setting in settings(resources) if _obstacle(setting, cgroup) is None)


def unenforceable(resources: ResourcesConfig, cgroup: CgroupFacts) -> tuple[Lack, ...]:
    """What `resources` needs and version 2 does not do here: a lack a controller and reason, in order of settings."""
    keys: dict[tuple[str, str], list[str]] = {}
    for setting in settings(resources):
        if reason := _obstacle(setting, cgroup):
            keys.setdefault((setting.controller, reason), []).append(setting.key)
    return tuple(
        Lack(controller=controller, keys=tuple(dict.fromkeys(wanted)), reason=reason)
        for (controller, reason), wanted in keys.items()
    )


def _obstacle(setting: Setting, cgroup: CgroupFacts) -> str | None:
    controller = setting.controller
    if controller in cgroup.controllers:
        if setting.file == "io.weight" and not cgroup.io_weights:
            return f"no disk heeds weights, since io.cost.qos in {cgroup.mount} enables none"
        return None
    bound = dict(cgroup.v1)
    mount = bound.get(controller) or bound.get(_V1_NAMES.get(controller, controller))
    if mount is not None:
        return f"bound to cgroup v1 at {mount}"
    if cgroup.base:
        return f"not delegated to {cgroup.mount}/{cgroup.base}"
    return "not in this kernel"
