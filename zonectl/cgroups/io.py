"""The io controller: rates of a block device (io.max) and shares (io.weight); pure.

Which number a device has is read when the setting is written: see `block`. Weights have an effect on disks whose
cost model is on (io.cost.qos of the root group); on others the kernel takes a general weight, and refuses a disk's own.
Source: Documentation/admin-guide/cgroup-v2.rst, "IO". Linux 4.5; io.weight without BFQ 5.4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.cgroups.setting import Setting

if TYPE_CHECKING:
    from zonectl.model.config import IoLimit, ResourcesConfig

LEAST_RATE = 2
"""The least bytes or operations a second that io.max takes (tg_set_limit in block/blk-throttle.c)."""

WEIGHT = (1, 10_000)
"""The least and the greatest weight; 100 is what a group without one has."""

NO_RATES = "rbps=max wbps=max riops=max wiops=max"


def settings(resources: ResourcesConfig) -> tuple[Setting, ...]:
    """What `io_weight` and each `[[resources.io]]` write, in their order."""
    found = []
    if resources.io_weight is not None:
        value = f"default {resources.io_weight}"
        summary = f"weigh disk time {resources.io_weight} to others' 100"
        found.append(
            Setting(key="io_weight", file="io.weight", value=value, default="default 100", summary=summary)
        )
    for limit in resources.io:
        found.extend(_of_device(limit))
    return tuple(found)


def rates(limit: IoLimit) -> str:
    """The rates of one device as io.max takes them, those that are set: `rbps=50000000 wiops=100`."""
    named = (
        ("rbps", limit.read_bps),
        ("wbps", limit.write_bps),
        ("riops", limit.read_iops),
        ("wiops", limit.write_iops),
    )
    return " ".join(f"{name}={value}" for name, value in named if value is not None)


def _of_device(limit: IoLimit) -> list[Setting]:
    found = []
    if text := rates(limit):
        found.append(
            Setting(
                key="io",
                file="io.max",
                value=text,
                default=NO_RATES,
                summary=f"limit {limit.device} to {text}",
                device=limit.device,
            )
        )
    if limit.weight is not None:
        found.append(
            Setting(
                key="io",
                file="io.weight",
                value=str(limit.weight),
                default="default",
                summary=f"weigh {limit.device} {limit.weight} to others' 100",
                device=limit.device,
            )
        )
    return found
