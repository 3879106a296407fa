"""The pids controller: how many processes and threads (pids.max); pure.

Source: Documentation/admin-guide/cgroup-v2.rst, "PID". Linux 4.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.cgroups.setting import Setting

if TYPE_CHECKING:
    from zonectl.model.config import ResourcesConfig


def settings(resources: ResourcesConfig) -> tuple[Setting, ...]:
    """What `pids` writes."""
    if resources.pids is None:
        return ()
    count = str(resources.pids)
    summary = f"limit processes and threads to {count}"
    return (Setting(key="pids", file="pids.max", value=count, default="max", summary=summary),)
