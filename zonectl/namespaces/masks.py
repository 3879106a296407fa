"""Covering parts of /proc and /sys, by init, in mounts that it has just made: nothing of the zone's runs yet.

Paths are relative to the mount's own descriptor, and lead through nothing but names of the kernel's.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from zonectl.errors import SyscallError
from zonectl.kernel import mount
from zonectl.namespaces.steps.masks import COVERS, KERNEL_MOUNTS, NO_FILE, NO_FOLDER, MaskPaths
from zonectl.namespaces.steps.mounts import STAGING

if TYPE_CHECKING:
    from collections.abc import Mapping

_READ_ONLY = (
    mount.MS_REMOUNT | mount.MS_BIND | mount.MS_RDONLY | mount.MS_NOSUID | mount.MS_NODEV | mount.MS_NOEXEC
)


def apply(step: MaskPaths, mounts: Mapping[str, int]) -> None:
    """Carry `step` out in the staging folder, in which this process is; `mounts` are descriptors of its mounts.

    Raises:
        SyscallError: a path that the kernel has cannot be covered.

    """
    os.mkdir(COVERS, 0o755)
    os.mkdir(f"{COVERS}/{NO_FOLDER}", 0o555)
    new = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    os.close(os.open(f"{COVERS}/{NO_FILE}", new, 0o444))
    # Before they are used: a bind mount takes the flags of its source.
    _cover(COVERS, COVERS)
    _make_read_only(COVERS)
    for place in KERNEL_MOUNTS:
        _apply_in(step, place, mounts)
    os.chdir(STAGING)


def _apply_in(step: MaskPaths, place: str, mounts: Mapping[str, int]) -> None:
    files, folders = step.within(place, step.files), step.within(place, step.folders)
    readonly, writable = step.within(place, step.readonly), step.within(place, step.writable)
    if not files and not folders and not readonly:
        return
    os.fchdir(mounts[place])
    for name in files:
        _cover(f"{STAGING}/{COVERS}/{NO_FILE}", name)
    for name in folders:
        _cover(f"{STAGING}/{COVERS}/{NO_FOLDER}", name)
    # What stays writable gets its mount while its surroundings are: a bind mount takes the flags of its source.
    there = [name for name in (*readonly, *writable) if _cover(name, name)]
    for name in readonly:
        if name in there:
            _make_read_only(name)


def _cover(source: str, name: str) -> bool:
    """Mount `source` over `name`; whether the kernel has that still."""
    try:
        mount.mount(source, name, None, mount.MS_BIND)
    except SyscallError as error:
        if error.errno != errno.ENOENT:
            raise
        return False
    return True


def _make_read_only(name: str) -> None:
    mount.mount(None, name, None, _READ_ONLY)
