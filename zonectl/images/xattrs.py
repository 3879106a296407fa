"""Which extended attributes a file of an image may bring along (xattr(7))."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_KEPT = frozenset({b"security.capability", b"system.posix_acl_access", b"system.posix_acl_default"})
_NOT_THERE = frozenset({errno.ENOTSUP, errno.ENODATA, errno.EPERM})


def is_kept(name: bytes) -> bool:
    """Whether the attribute is content: the user's, file capabilities, access lists.

    Not those in which overlay keeps redirects and whiteouts, `trusted.overlay.` and `user.overlay.`: a layer that
    brings them would show files from elsewhere. Labels and signatures (`security.`) belong to the host.
    """
    return name in _KEPT or (name.startswith(b"user.") and not name.startswith(b"user.overlay."))


def read(fd: int) -> dict[bytes, bytes]:
    """The attributes of the open file that are kept, by name."""
    try:
        names = [os.fsencode(name) for name in os.listxattr(fd)]
    except OSError as error:
        if error.errno not in _NOT_THERE:
            raise
        return {}
    return {
        name: value for name in sorted(names) if is_kept(name) and (value := _value(fd, name)) is not None
    }


def write(fd: int, attributes: Mapping[bytes, bytes]) -> list[bytes]:
    """Set the attributes that are kept; gives the names that were not set: not kept, or not supported here."""
    return [name for name, value in attributes.items() if not is_kept(name) or not _set(fd, name, value)]


def _value(fd: int, name: bytes) -> bytes | None:
    try:
        return os.getxattr(fd, name)
    except OSError as error:
        if error.errno not in _NOT_THERE:
            raise
        return None


def _set(fd: int, name: bytes, value: bytes) -> bool:
    try:
        os.setxattr(fd, name, value)
    except OSError as error:
        if error.errno not in _NOT_THERE:
            raise
        return False
    return True
