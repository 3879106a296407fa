"""Probes of /proc and /sys."""

from __future__ import annotations

from tests.hostile.groups.keys import ALL_CAPABILITIES, HOST_IDS, NO_FILTER, POWERFUL, UNMASKED
from tests.hostile.probe import Group, Probe, Removal, named

_MASK = "a mask over the file"
_BOTH = "the zone's own ids, and a read-only mount"
_OPEN = (*POWERFUL, UNMASKED)


def _probe(name: str, source: str, *words: str, protection: str = _BOTH, keys: tuple[str, ...] = _OPEN,
           errnos: frozenset[str] | None = None, harnessed: str = "", lane: bool = False) -> Probe:  # fmt: skip
    return Probe(
        name=name,
        group=Group.PROC,
        source=source,
        words=words,
        errnos=errnos if errnos is not None else named("EROFS"),
        protection=protection,
        removal=Removal(keys=keys, harnessed=harnessed),
        lane=lane,
    )


def _written(name: str, source: str, path: str, *, lane: bool = False) -> Probe:
    return _probe(name, source, "write", path, errnos=named("EROFS", "ENOENT"), lane=lane)


def _masked(name: str, source: str, path: str, *more: str, lane: bool = False) -> Probe:
    return _probe(
        name,
        source,
        "read",
        path,
        protection=_MASK,
        keys=(*more, UNMASKED),
        errnos=named("", "ENOENT"),
        lane=lane,
    )


PROBES = (
    _written("core-pattern", "a program of the zone's run by the host's kernel", "/proc/sys/kernel/core_pattern"),
    _written("modprobe", "as core-pattern", "/proc/sys/kernel/modprobe", lane=True),
    _written("uevent-helper", "as core-pattern", "/sys/kernel/uevent_helper", lane=True),
    _written("panic", "what the host does when it fails", "/proc/sys/kernel/panic"),
    _written("overcommit", "the host's memory", "/proc/sys/vm/overcommit_memory"),
    _written("file-max", "how many files all may open", "/proc/sys/fs/file-max"),
    _probe("sys-write", "the kernel's knobs in /sys", "remounted", "/sys",
           "/sys/kernel/mm/transparent_hugepage/khugepaged/defrag", errnos=named("EROFS", "ENOENT")),
    _written("irq", "which processor serves the hardware", "/proc/irq/default_smp_affinity"),
    _probe("sysrq", "the keys of the console: reboot, crash", "sysrq", protection=_MASK, lane=True,
           errnos=named("", "ENOENT", "EROFS")),
    _masked("kcore", "the host's memory", "/proc/kcore", *POWERFUL, lane=True),
    _masked("timer-list", "what every process waits for", "/proc/timer_list", HOST_IDS),
    _masked("keys", "keys that are in sight", "/proc/keys", HOST_IDS),
    _masked("interrupts", "when a key is hit on the host", "/proc/interrupts"),
    _probe("firmware", "tables of the firmware", "read", "/sys/firmware/acpi/tables/DSDT", protection=_MASK,
           errnos=named("ENOENT"), lane=True),
    _probe("addresses", "where the kernel is, for the next attack", "addresses", protection=_MASK,
           errnos=named("")),
    _probe("unmask", "what masks a file taken off", "unmask", "/proc/interrupts", protection=_MASK,
           errnos=named("", "EINVAL"), keys=(ALL_CAPABILITIES, NO_FILTER, UNMASKED)),
    _probe("anew", "another /proc, without masks", "anew", "proc", "interrupts",
           protection="no mounts by root of the zone; and the kernel wants one without masks to be there already",
           keys=(ALL_CAPABILITIES, NO_FILTER, UNMASKED)),
    _probe("debugfs", "the insides of the kernel", "mount", "debugfs",
           protection="the zone's own ids: its capabilities are over itself", keys=POWERFUL),
    _probe("tracefs", "the insides of the kernel", "mount", "tracefs",
           protection="the zone's own ids: its capabilities are over itself", keys=POWERFUL),
    _probe("binfmt", "programs of the zone's run for the host's files", "mount", "binfmt_misc",
           protection="no mounts by root of the zone", keys=(ALL_CAPABILITIES, NO_FILTER)),
    _probe("process-memory", "the memory of a process of the host's", "memory", "{pid}",
           protection="the zone's own processes: no other has a number", errnos=named("ENOENT"), keys=POWERFUL,
           harnessed="own-processes"),
    _probe("process-environment", "the secrets of a process of the host's", "environment", "{pid}", "of-the-host",
           protection="the zone's own processes: no other has a number", errnos=named("ENOENT"), keys=POWERFUL,
           harnessed="own-processes"),
)  # fmt: skip
