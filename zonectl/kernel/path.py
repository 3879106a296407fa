"""Paths inside a root that is not trusted: resolved by openat2(2) to descriptors that never lie outside it."""

from __future__ import annotations

import ctypes
import errno
import os
from ctypes import c_char_p, c_int, c_size_t, c_uint64, c_void_p
from typing import TYPE_CHECKING, Final

from zonectl.errors import SyscallError
from zonectl.kernel.libc import SystemCall, c_text, shown

if TYPE_CHECKING:
    from zonectl.kernel.libc import PathLike

RESOLVE_NO_XDEV: Final = 0x01
RESOLVE_NO_MAGICLINKS: Final = 0x02
RESOLVE_NO_SYMLINKS: Final = 0x04
RESOLVE_BENEATH: Final = 0x08
RESOLVE_IN_ROOT: Final = 0x10
RESOLVE_CACHED: Final = 0x20

MAX_LINKS: Final = 40
"""How many links are followed by hand; as path_resolution(7)."""

RESOLVE_ATTEMPTS: Final = 128
"""How often a resolution is tried again that a rename or mount elsewhere made uncertain (EAGAIN)."""


class open_how(ctypes.Structure):
    """`struct open_how` of openat2(2)."""

    _fields_ = (("flags", c_uint64), ("mode", c_uint64), ("resolve", c_uint64))


_openat2 = SystemCall("openat2", c_int, c_char_p, c_void_p, c_size_t, number=437)


def openat2(dirfd: int, path: PathLike, flags: int, *, mode: int = 0, resolve: int = 0) -> int:
    """Open `path` below `dirfd`, resolved as RESOLVE_* say; closed on exec, owned by the caller. Linux 5.6."""
    how = open_how(flags | os.O_CLOEXEC, mode, resolve)
    return _openat2(dirfd, c_text(path), ctypes.addressof(how), ctypes.sizeof(how), subject=shown(path))


def open_in_root(rootfd: int, path: PathLike, flags: int, *, mode: int = 0) -> int:
    """Open `path` as if `rootfd` were the root: "/", ".." and links stay inside. openat2(2), Linux 5.6.

    Magic links of /proc are refused. EAGAIN, which a race with a rename gives, is retried.

    Raises:
        SyscallError: openat2.

    """
    for _attempt in range(RESOLVE_ATTEMPTS - 1):
        try:
            return _open_in_root_once(rootfd, path, flags, mode)
        except SyscallError as error:
            if error.errno != errno.EAGAIN:
                raise
    return _open_in_root_once(rootfd, path, flags, mode)


def _open_in_root_once(rootfd: int, path: PathLike, flags: int, mode: int) -> int:
    return openat2(rootfd, path, flags, mode=mode, resolve=RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
