"""Copies that share their blocks until one of them is written to."""

from __future__ import annotations

import fcntl
from typing import Final

from zonectl.kernel.libc import failed

FICLONE: Final = 0x40049409


def ficlone(dest_fd: int, src_fd: int) -> None:
    """Make `dest_fd` a copy of `src_fd` that shares its blocks; ioctl_ficlone(2), Linux 4.5 (btrfs, xfs).

    Raises:
        SyscallError: EOPNOTSUPP or EXDEV where the file systems cannot: copy the bytes then.

    """
    try:
        fcntl.ioctl(dest_fd, FICLONE, src_fd)
    except OSError as error:
        raise failed("FICLONE", error) from error
