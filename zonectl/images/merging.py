"""What a layer says about those below it, in the kernel's own form (overlayfs: whiteouts and opaque directories)."""

from __future__ import annotations

import errno
import os
import stat

_OPAQUE = ("trusted.overlay.opaque", "user.overlay.opaque")


def is_whiteout(status: os.stat_result) -> bool:
    """Whether the file says that there is none: a character device 0:0."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def is_opaque(fd: int) -> bool:
    """Whether the folder hides what is below it."""
    return any(_attribute(fd, name) == b"y" for name in _OPAQUE)


def _attribute(fd: int, name: str) -> bytes | None:
    try:
        return os.getxattr(fd, name)
    except OSError as error:
        if error.errno not in {errno.ENODATA, errno.ENOTSUP, errno.EPERM}:
            raise
        return None
