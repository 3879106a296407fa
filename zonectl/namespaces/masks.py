"""Covering parts of /proc and /sys, by init, in mounts that it has just made: nothing of the zone's runs yet.

Paths are relative to the mount's own descriptor, and lead through nothing but names of the kernel's.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from zonectl.errors import SyscallError
from zonectl.kernel import mount
from zonectl.namespaces.steps.masks import KERNEL_MOUNTS, NO_FILE, NO_FOLDER, MaskPaths
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
    # Read-only before they are used: a bind mount takes the flags of its source.
    os.close(os.open(NO_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o444))
    _cover(NO_FILE, NO_FILE)
    _make_read_only(NO_FILE)
    os.mkdir(NO_FOLDER, 0o555)
    _cover(NO_FOLDER, NO_FOLDER)
    _make_read_only(NO_FOLDER)
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
        _cover(f"{STAGING}/{NO_FILE}", name)
    for name in folders:
        _cover(f"{STAGING}/{NO_FOLDER}", name)
    # What stays writable gets its mount while its surroundings are: a bind mount takes the flags of its source.
    there = [name for name in (*readonly, *writable) if _cover(name, name)]
    for name in readonly:
        if name in there:
            _make_read_only(name)


def _cover(source: str, name: str) -> bool:
    """Mount `source` over `name`; whether the kernel has that at all."""
    try:
        mount.mount(source, name, None, mount.MS_BIND)
    except SyscallError as error:
        if error.errno != errno.ENOENT:
            raise
        return False
    return True


def _make_read_only(name: str) -> None:
    mount.mount(None, name, None, _READ_ONLY)
