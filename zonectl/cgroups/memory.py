"""The memory controller: ceilings, protections, swap, and how the kernel kills; pure.

Source: Documentation/admin-guide/cgroup-v2.rst, "Memory". Linux 4.5; memory.oom.group 4.19.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.cgroups.setting import Setting
from zonectl.model.units import format_size

if TYPE_CHECKING:
    from zonectl.model.config import ResourcesConfig

PROTECTIONS = ("memory.min", "memory.low")
"""Files whose effect is bounded by the same file of every group above."""


def settings(resources: ResourcesConfig) -> tuple[Setting, ...]:
    """What `memory`, `memory_high`, `memory_low`, `memory_min`, `swap` and `oom_group` write."""
    found = [
        _size(key, file, size_bytes)
        for key, file, size_bytes in (
            ("memory_min", "memory.min", resources.memory_min_bytes),
            ("memory_low", "memory.low", resources.memory_low_bytes),
            ("memory_high", "memory.high", resources.memory_high_bytes),
            ("memory", "memory.max", resources.memory_bytes),
            ("swap", "memory.swap.max", resources.swap_bytes),
        )
        if size_bytes is not None
    ]
    if resources.oom_group:
        found.append(
            Setting(
                key="oom_group",
                file="memory.oom.group",
                value="1",
                default="0",
                summary="kill the whole zone when it is out of memory",
            )
        )
    return tuple(found)


_DEEDS = {
    "memory.min": "never reclaim the last {} of memory",
    "memory.low": "spare the last {} of memory",
    "memory.high": "slow down above {} of memory",
    "memory.max": "limit memory to {}",
    "memory.swap.max": "limit swap to {}",
}


def _size(key: str, file: str, size_bytes: int) -> Setting:
    default = "0" if file in PROTECTIONS else "max"
    summary = _DEEDS[file].format(format_size(size_bytes))
    return Setting(key=key, file=file, value=str(size_bytes), default=default, summary=summary)
