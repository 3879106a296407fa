"""Paths of the host's that root has named: links in them are followed only where nobody else could have put them.

What is mounted into a zone or copied is opened once, and used by its descriptor. But a name in a folder that a user of
the host or a zone may write to can be exchanged for a link to anything between two commands. Folders may be
exchanged: what others may write to is theirs. Links may not, since they lead elsewhere.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Final

from zonectl.errors import SyscallError, ZonectlError
from zonectl.kernel.libc import AT_FDCWD
from zonectl.kernel.mount import PROC_SUPER_MAGIC, fs_magic
from zonectl.kernel.path import MAX_LINKS, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, openat2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_ENTRY: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


def open_trusted(path: str, *, shared: Callable[[], Iterable[str]] = tuple) -> int:
    """An O_PATH descriptor, owned by the caller, of what the host's absolute `path` leads to.

    A path without links costs one openat2(2), Linux 5.6. A link is followed only if root owns it and the folder that
    it is in, which nobody else may write to; and not below what `shared` gives, folders in which root of a zone writes
    as root of the host (id-mapped mounts). As systemd's CHASE_SAFE.

    Raises:
        SyscallError: openat2, or what it would have met.
        ZonectlError: a link that others could have made is in the way.

    """
    resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS
    try:
        return openat2(AT_FDCWD, path, os.O_PATH, resolve=resolve)
    except SyscallError as error:
        if error.errno != errno.ELOOP:
            raise
    try:
        return _walk(path, {os.path.realpath(folder) for folder in shared()})
    except OSError as error:
        raise SyscallError("openat", error.errno or 0, path) from error


def _walk(path: str, shared: set[str]) -> int:
    names = _names_reversed(path)
    links = 0
    here = os.open("/", _ENTRY)
    try:
        while names:
            below = os.open(name := names.pop(), _ENTRY, dir_fd=here)
            if stat.S_ISLNK(os.fstat(below).st_mode):
                target = _target(here, below, name=name, path=path, shared=shared)
                links += 1
                _bound(links)
                names += _names_reversed(target)
                below = os.open("/", _ENTRY) if target.startswith("/") else os.dup(here)
            os.close(here)
            here = below
    except BaseException:
        os.close(here)
        raise
    return here


def _bound(links: int) -> None:
    if links > MAX_LINKS:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _names_reversed(path: str) -> list[str]:
    return [name for name in reversed(path.split("/")) if name not in {"", "."}]


def _target(folder: int, link: int, *, name: str, path: str, shared: set[str]) -> str:
    """Where the link leads, with its descriptor closed."""
    try:
        status, where = os.fstat(folder), os.readlink(f"/proc/self/fd/{folder}")
        if fs_magic(folder) == PROC_SUPER_MAGIC:
            # What such a link reads as is not where it leads.
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        if status.st_uid or os.fstat(link).st_uid or status.st_mode & _OTHERS or _is_within(where, shared):
            message = (
                f"{path} leads through the link {os.path.join(where, name)}, which not only root can change"
            )
            raise ZonectlError(
                message, hint="name what it leads to, or move it to where root alone may write"
            )
        return os.readlink("", dir_fd=link)
    finally:
        os.close(link)


def _is_within(where: str, folders: set[str]) -> bool:
    return any(where == folder or where.startswith(f"{folder.rstrip('/')}/") for folder in folders)
