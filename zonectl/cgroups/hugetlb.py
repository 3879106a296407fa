"""The hugetlb controller: huge pages of each size; pure.

Both the reservation and the use are limited: reserving too much then fails at mmap (ENOMEM), where a limit of
the use alone kills the program with SIGBUS at its first touch; and what was not reserved is limited as well.
Source: Documentation/admin-guide/cgroup-v2.rst, "HugeTLB". Linux 5.6; rsvd 5.7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.cgroups.setting import Setting
from zonectl.model.units import format_size

if TYPE_CHECKING:
    from zonectl.model.config import ResourcesConfig


def settings(resources: ResourcesConfig) -> tuple[Setting, ...]:
    """What each page size of `hugetlb` writes: first the limit of reservations, then that of use."""
    return tuple(
        Setting(
            key="hugetlb",
            file=f"hugetlb.{page_size}.{kind}",
            value=str(size_bytes),
            default="max",
            summary=f"limit {what} huge pages of {page_size} to {format_size(size_bytes)}",
        )
        for page_size, size_bytes in resources.hugetlb
        for kind, what in (("rsvd.max", "reserved"), ("max", "used"))
    )
