"""The cpu controller: a ceiling (cpu.max) and a share (cpu.weight); pure.

Source: Documentation/admin-guide/cgroup-v2.rst, "CPU". Linux 4.15.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from zonectl.cgroups.setting import Setting
from zonectl.errors import HostLacks

if TYPE_CHECKING:
    from zonectl.model.config import ResourcesConfig

MIN_QUOTA_US = 1000
"""The least quota the kernel takes (min_bw_quota_period_us in kernel/sched/core.c)."""

PERIOD_US = (1000, 1_000_000)
"""The least and the greatest period."""

WEIGHT = (1, 10_000)
"""The least and the greatest weight; 100 is what a group without one has."""


def quota_us(cpus: float, *, period_us: int) -> int:
    """The time in microseconds that `cpus` processors have in a period.

    Raises:
        HostLacks: it is below what the kernel takes; the hint is a period that would do.

    """
    quota = round(cpus * period_us)
    if quota < MIN_QUOTA_US:
        longer_ms = ceil(MIN_QUOTA_US / cpus / 1000)
        raise HostLacks(
            f"{cpus:g} CPUs of a period of {period_us} us are {quota} us, and the kernel's least is {MIN_QUOTA_US}",
            hint=f'set resources.cpu_period = "{longer_ms}ms"',
        )
    return quota


def settings(resources: ResourcesConfig) -> tuple[Setting, ...]:
    """What `cpus` with `cpu_period`, and `cpu_weight`, write.

    Raises:
        HostLacks: the quota is below the kernel's least.

    """
    found = []
    if resources.cpus is not None:
        period_us = resources.cpu_period_us
        quota = quota_us(resources.cpus, period_us=period_us)
        found.append(
            Setting(
                key="cpus",
                file="cpu.max",
                value=f"{quota} {period_us}",
                default="max 100000",
                summary=f"limit processor time to {resources.cpus:g} CPUs",
            )
        )
    if resources.cpu_weight is not None:
        weight = str(resources.cpu_weight)
        summary = f"weigh processor time {weight} to others' 100"
        found.append(
            Setting(key="cpu_weight", file="cpu.weight", value=weight, default="100", summary=summary)
        )
    return tuple(found)
