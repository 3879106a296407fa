"""What of /proc and /sys is kept from a zone, and what of it may be read only.

Compared with the lists of runc, podman, systemd-nspawn and incus (facts, as of 2025): see ADR 0066. Paths that these
kernels do not have are passed over, and those that only kernels before 6.1 have are not listed.
"""

from __future__ import annotations

from typing import Final

MASKED_FILES: Final = (
    "/proc/interrupts",
    "/proc/kallsyms",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sysrq-trigger",
    "/proc/timer_list",
)
"""Shown as an empty file: the host's memory and addresses, its keys, what its processes do and when."""

MASKED_FOLDERS: Final = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/scsi",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
"""Shown as an empty folder: the host's hardware, firmware tables and power meters."""

READ_ONLY: Final = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys")
"""Shown, but never written to; in /proc/sys, save /proc/sys/net where the zone has a network of its own.

With ids of its own the zone is nobody to all files of the first three, which no namespace has anything in: there the
mounts are spared, which would cost a start some 50 us.
"""

GUARDED_BY_IDS: Final = frozenset({"/proc/bus", "/proc/fs", "/proc/irq"})

NET_SYSCTLS: Final = "/proc/sys/net"

KEPT: Final = (*MASKED_FILES, *MASKED_FOLDERS, *READ_ONLY)
"""All of them."""

ALL: Final = "all"
"""The word in `[security] unmask` that stands for all of them."""


def kept(unmask: tuple[str, ...]) -> tuple[str, ...]:
    """Those that stay as they are listed when `unmask` names what is to be shown."""
    return () if ALL in unmask else tuple(path for path in KEPT if path not in unmask)
