"""Settings of the zone's namespaces: written by init before the zone's program runs, and read back of a running zone.

Never through the zone's /proc, which a hostile root may have led elsewhere (CVE-2025-52881): written in a procfs that
is mounted nowhere, read in the host's, by descriptor. Which namespace's value a file of /proc/sys has follows from
who opens it, not from the mount that it is opened in (fs/proc/proc_sysctl.c, lookup of a `ctl_table_root`).
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from zonectl.errors import SyscallError
from zonectl.kernel import inquiry, mount, path
from zonectl.namespaces import entering
from zonectl.namespaces.steps.sysctls import ATTRIBUTES, WriteSysctls, file_of
from zonectl.namespaces.trees import attribute_bits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zonectl.model.script import Script

_RESOLVE = path.RESOLVE_BENEATH | path.RESOLVE_NO_SYMLINKS | path.RESOLVE_NO_XDEV
_KINDS = ("user", "net", "ipc", "uts")
"""The namespaces that have settings."""
_MOST_BYTES = 1 << 16
_READ, _UNREAD = b"+", b"-"


def write(step: WriteSysctls, script: Script) -> None:
    """Add to the script what writes the settings of `step`."""
    if step.domain_name is not None:
        script.domain_name(step.domain_name)
    if not step.files:
        return
    procfs = script.descriptor()
    script.filesystem(procfs, "proc", (), attribute_bits(ATTRIBUTES), magic=mount.PROC_SUPER_MAGIC)
    for name, value in step.files:
        key = name.removeprefix("sys/").replace("/", ".")
        script.set(
            procfs,
            name,
            value,
            (
                f"this kernel has no {key} for a zone",
                f"this kernel lets only the host's root set {key}",
                f"the kernel refuses the value of {key}",
            ),
        )
    script.close(procfs)


def read_back(pidfd: int, *, pid: int, names: Sequence[str]) -> tuple[tuple[str, str | None], ...]:
    """The settings `names` of the namespaces of the process of `pidfd`, None for one that cannot be read.

    A child of ours joins these namespaces, as root of them, and no other: it keeps the host's mounts.

    Raises:
        SyscallError: the process has ended, or its namespaces cannot be joined.

    """
    if not names:
        return ()
    said = inquiry.ask(lambda: _from_inside(pidfd, pid, names), call="setns", subject=f"namespaces of {pid}")
    # proc_dostring() and its like write no NUL.
    texts = [os.fsdecode(part[1:]) if part[:1] == _READ else None for part in said.split(b"\0")]
    return tuple(zip(names, texts, strict=True))


def _from_inside(pidfd: int, pid: int, names: Sequence[str]) -> bytes:
    settings = os.open("/proc/sys", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    if mount.fs_magic(settings) != mount.PROC_SUPER_MAGIC:
        raise SyscallError("fstatfs", errno.ENODEV, "not a procfs")
    entering.join(pidfd, pid=pid, kinds=_KINDS)
    return b"\0".join(_read(settings, file_of(name)) for name in names)


def _read(settings: int, name: str) -> bytes:
    try:
        setting = path.openat2(settings, name, os.O_RDONLY | os.O_NONBLOCK, resolve=_RESOLVE)
    except SyscallError:
        return _UNREAD
    try:
        return _READ + os.read(setting, _MOST_BYTES)
    except OSError:  # some say nothing before they are set
        return _UNREAD
    finally:
        os.close(setting)
