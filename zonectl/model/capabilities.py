"""Capabilities of Linux (capabilities(7)): their names, and the sets that a zone file names.

A set is a mask, as the kernel keeps it: bit n is capability n.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NAMES = (
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
)
"""By number (linux/capability.h, Linux 5.9). One that a later kernel adds has no name here, and no zone gets it."""

ALL = (1 << len(NAMES)) - 1
SYS_ADMIN = 1 << NAMES.index("sys_admin")


def mask(names: Iterable[str]) -> int:
    """The set of these capabilities.

    Raises:
        ValueError: one has no such name.

    """
    return sum(1 << NAMES.index(name) for name in set(names))


def names(of: int) -> tuple[str, ...]:
    """The names of a set, in the kernel's order; those without one by number."""
    return tuple(NAMES[bit] if bit < len(NAMES) else f"cap_{bit}" for bit in bits(of))


def bits(of: int) -> Iterator[int]:
    """The numbers of a set."""
    while of:
        yield (of & -of).bit_length() - 1
        of &= of - 1


DEFAULT = mask(
    (
        "chown",
        "dac_override",
        "fowner",
        "fsetid",
        "kill",
        "net_bind_service",
        "net_raw",
        "setfcap",
        "setgid",
        "setpcap",
        "setuid",
        "sys_chroot",
    )
)
"""What programs in a root need: su, sudo, package managers, servers, ping, chroot. Nothing that changes namespaces."""

SYSTEM = DEFAULT | mask(
    (
        "dac_read_search",
        "ipc_lock",
        "ipc_owner",
        "lease",
        "net_admin",
        "net_broadcast",
        "sys_admin",
        "sys_boot",
        "sys_nice",
        "sys_ptrace",
        "sys_resource",
    )
)
"""What the manager of a whole system needs besides (systemd, OpenRC): mounts, its own links and firewall, reboot."""

SETS = {"default": DEFAULT, "system": SYSTEM, "all": ALL, "none": 0}
MANAGERS = frozenset({"init", "systemd"})
"""Names of programs that manage a whole system: for their zones, `default` is `system`."""


class Grant(NamedTuple):
    """What a zone file grants: the set, and which of it by name. A user other than root gets only the latter."""

    granted: int
    named: int


def grant(words: Iterable[str], *, manages: bool) -> Grant:
    """What the words of a zone file come to: named sets, more capabilities, less capabilities; in any order.

    `manages` is whether the zone's program manages a system of its own ids, so that `default` means `system`.

    Raises:
        ValueError: a word means nothing.

    """
    words = tuple(words)
    sets = [SYSTEM if word == "default" and manages else SETS[word] for word in words if word in SETS]
    named = mask(word for word in words if word not in SETS and not word.startswith("!"))
    without = mask(word[1:] for word in words if word.startswith("!"))
    return Grant(((sets[0] if sets else 0) | named) & ~without, named & ~without)


def words(of: int) -> str:
    """A set as people read it: the name of one that a zone file can name, or what is in it."""
    for name, known in SETS.items():
        if of == known:
            return f"{name} capabilities" if name != "none" else "no capabilities"
    return ", ".join(names(of))
