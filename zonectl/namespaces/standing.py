"""What stands at given places of a running zone's root, seen through its init.

The root is hostile: every path is resolved by openat2 below it, nothing is opened for reading but folders, and of the
zone's list of mounts, which it can make very long, only the beginning is read: what zonectl mounted is oldest.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from zonectl.errors import SyscallError
from zonectl.kernel import mount, path, proc
from zonectl.model.audit import Standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from zonectl.kernel.proc import MountEntry

MOUNTINFO_BYTES = 1 << 20

_KINDS = {
    stat.S_IFLNK: "link",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}


def standings(pid: int, paths: Iterable[str]) -> tuple[Standing, ...]:
    """What stands at each of `paths` in the root of the process `pid`.

    Raises:
        SyscallError: the process has gone, or may not be looked into.

    """
    mounts = {entry.id: entry for entry in proc.mountinfo(pid, limit_bytes=MOUNTINFO_BYTES)}
    try:
        root = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise SyscallError("open", error.errno or 0, f"/proc/{pid}/root") from error
    try:
        return tuple(_standing(root, place, mounts) for place in paths)
    finally:
        os.close(root)


def _standing(root: int, place: str, mounts: Mapping[int, MountEntry]) -> Standing:
    try:
        fd = path.open_in_root(root, place, os.O_PATH)
    except SyscallError as error:
        return Standing(path=place, reason=os.strerror(error.errno).lower())
    try:
        entry = mounts.get(mount.mount_id(fd))
        kind = _kind(fd)
        # Both are what the kernel's d_path says, below the root that the zone has pivoted to.
        if entry is None or os.readlink(f"/proc/self/fd/{fd}") != entry.target:
            return Standing(path=place, kind=kind, reason="not a mount")
        options = frozenset(entry.options) | (frozenset({"ro"}) & frozenset(entry.super_options))
        return Standing(path=place, mounted=True, fstype=entry.fstype, options=options, kind=kind)
    finally:
        os.close(fd)


def _kind(fd: int) -> str:
    found = os.fstat(fd)
    if stat.S_ISDIR(found.st_mode):
        return "empty folder" if _is_empty(fd) else "folder"
    if stat.S_ISREG(found.st_mode):
        return "empty file" if _has_no_content(fd, found.st_size) else "file"
    return device(found) or _KINDS.get(stat.S_IFMT(found.st_mode), "of an unknown kind")


def device(found: os.stat_result) -> str:
    """A device node by its number, "" for what is none."""
    number = f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"
    if stat.S_ISCHR(found.st_mode):
        return f"device {number}"
    return f"block device {number}" if stat.S_ISBLK(found.st_mode) else ""


def _has_no_content(fd: int, size_bytes: int) -> bool:
    """Whether there is nothing to be read; of files of the kernel's own the size does not tell."""
    return size_bytes == 0 and mount.fs_magic(fd) == mount.TMPFS_MAGIC


def _is_empty(fd: int) -> bool:
    """Whether the folder has no entry; one that may not be listed has some."""
    try:
        listed = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=fd)
    except OSError:
        return False
    try:
        with os.scandir(listed) as entries:
            return next(entries, None) is None
    finally:
        os.close(listed)
