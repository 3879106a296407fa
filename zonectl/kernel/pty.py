"""Pseudo-terminals of a devpts, opened as native/streams.c opens a zone's: what is there could have been replaced."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
from typing import Final

from zonectl.errors import SyscallError
from zonectl.kernel.libc import failed
from zonectl.kernel.mount import DEVPTS_SUPER_MAGIC, fs_magic
from zonectl.kernel.path import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, RESOLVE_NO_XDEV, openat2

TIOCSPTLCK: Final = 0x40045431
TIOCGPTPEER: Final = 0x5441

PTMX: Final = (5, 2)
"""Device number of ptmx (pts(4))."""

UNIX98_SLAVE_MAJORS: Final = range(136, 144)

_OPENING: Final = os.O_RDWR | os.O_NOCTTY


def open_terminal(devpts_dir_fd: int) -> tuple[int, int]:
    """A new pseudo-terminal of that devpts: (master, slave), both closed on exec, owned by the caller.

    The slave is opened through the master (TIOCGPTPEER, ioctl_tty(2), Linux 4.13), not by a path.

    Raises:
        SyscallError: openat2 or an ioctl; ENODEV where it is not a devpts with its own ptmx.

    """
    if fs_magic(devpts_dir_fd) != DEVPTS_SUPER_MAGIC:
        raise SyscallError("fstatfs", errno.ENODEV, "not a devpts")
    # NO_XDEV: nothing mounted on ptmx is opened, so that it is the file system's own.
    resolve = RESOLVE_NO_XDEV | RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS
    master = openat2(devpts_dir_fd, "ptmx", _OPENING, resolve=resolve)
    try:
        _check_device(master, "ptmx", majors=(PTMX[0],))
        return master, _open_slave(master)
    except BaseException:
        os.close(master)
        raise


def _open_slave(master: int) -> int:
    try:
        fcntl.ioctl(master, TIOCSPTLCK, struct.pack("=i", 0))
        slave = fcntl.ioctl(master, TIOCGPTPEER, _OPENING | os.O_CLOEXEC)
    except OSError as error:
        raise failed("TIOCGPTPEER", error) from error
    try:
        _check_device(slave, "slave", majors=UNIX98_SLAVE_MAJORS)
    except BaseException:
        os.close(slave)
        raise
    return slave


def _check_device(fd: int, subject: str, *, majors: range | tuple[int, ...]) -> None:
    status = os.fstat(fd)
    known = stat.S_ISCHR(status.st_mode) and os.major(status.st_rdev) in majors
    if not known or fs_magic(fd) != DEVPTS_SUPER_MAGIC:
        raise SyscallError("fstat", errno.ENODEV, subject)
