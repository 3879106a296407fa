"""The cpuset controller: which processors and memory nodes (cpuset.cpus, cpuset.mems); pure.

Source: Documentation/admin-guide/cgroup-v2.rst, "Cpuset"; cpuset(7), "List format". Linux 5.0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.cgroups.setting import Setting

if TYPE_CHECKING:
    from zonectl.model.config import ResourcesConfig

EFFECTIVE = {"cpuset.cpus": "cpuset.cpus.effective", "cpuset.mems": "cpuset.mems.effective"}
"""Where the kernel says what a written list came to."""


def settings(resources: ResourcesConfig) -> tuple[Setting, ...]:
    """What `cpuset` and `cpuset_mems` write; the default, a newline, takes the parent's again."""
    wanted = (
        ("cpuset", "cpuset.cpus", resources.cpuset, "processors"),
        ("cpuset_mems", "cpuset.mems", resources.cpuset_mems, "memory nodes"),
    )
    return tuple(
        Setting(key=key, file=file, value=value, default="\n", summary=f"bind to the {what} {value}")
        for key, file, value, what in wanted
        if value is not None
    )


def members(text: str) -> frozenset[int]:
    """The numbers of a list as the kernel prints it: `0-3,7`.

    Raises:
        ValueError: not such a list.

    """
    found: set[int] = set()
    for part in text.strip().split(",") if text.strip() else ():
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)


def holds(asked: str, *, effective: str) -> bool:
    """Whether a group bound to `asked` is really kept to it; both as the kernel prints them.

    Where none of the asked is online, the kernel gives a group all that its parent has, and says nothing.
    """
    return members(effective) <= members(asked)
