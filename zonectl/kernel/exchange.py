"""Two names that change places in one step."""

from __future__ import annotations

from ctypes import c_char_p, c_int, c_uint
from typing import Final

from zonectl.kernel.libc import SystemCall, c_text

RENAME_EXCHANGE: Final = 2

_renameat2 = SystemCall("renameat2", c_int, c_char_p, c_int, c_char_p, c_uint)


def exchange(folder_fd: int, one: str, other: str) -> None:
    """Exchange the names `one` and `other` of the folder; renameat2(2), Linux 3.15.

    Raises:
        SyscallError: ENOENT where one is not there, EINVAL where the file system cannot do it.

    """
    _renameat2(folder_fd, c_text(one), folder_fd, c_text(other), RENAME_EXCHANGE, subject=other)
