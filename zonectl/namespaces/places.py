"""Places in a zone's root that something is mounted on: hostile paths, each resolved to a descriptor once.

That is by openat2 below the root (RESOLVE_IN_ROOT, no magic links); what is missing is made. Callers own what they get.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from zonectl.errors import SyscallError, ZonectlError
from zonectl.kernel import path

if TYPE_CHECKING:
    from collections.abc import Iterator

_KERNELS_PLACES = frozenset({"dev", "proc", "sys"})


def folder(root: int, target: str) -> int:
    """A descriptor of the folder `target` of the root of that descriptor.

    Raises:
        SyscallError: it can be neither opened nor made.
        ZonectlError: it is the root itself, or a place of the kernel's and leads through a link.

    """
    if target.split("/")[1] in _KERNELS_PLACES:
        return _plain_folder(root, target)
    found = path.make_dirs_in_root(root, target, 0o755, owner=None)
    if os.path.samestat(os.fstat(found), os.fstat(root)):
        os.close(found)
        msg = f"{target} of the root leads to the root itself"
        raise ZonectlError(msg)
    return found


def file(root: int, target: str) -> int:
    """A descriptor of the file `target` of the root of that descriptor.

    Raises:
        SyscallError: it can be neither opened nor made.

    """
    return path.make_file_in_root(root, target, 0o644, owner=None)


@contextmanager
def dangling_left_alone() -> Iterator[None]:
    """Pass over a dangling link (to a resolver's file, say): the root brings its own."""
    try:
        yield
    except SyscallError as error:
        if error.call in {"open_tree", "move_mount"} or error.errno not in {errno.ENOENT, errno.ELOOP}:
            raise


def _plain_folder(root: int, target: str) -> int:
    """Where a file system of the kernel's goes: a link would have it cover another one, or show up elsewhere."""
    flags, resolve = os.O_PATH | os.O_DIRECTORY, path.RESOLVE_IN_ROOT | path.RESOLVE_NO_SYMLINKS
    try:
        try:
            return path.openat2(root, target, flags, resolve=resolve)
        except SyscallError as error:
            if error.errno != errno.ENOENT:
                raise
        os.close(path.make_dirs_in_root(root, target, 0o755, owner=None))
        return path.openat2(root, target, flags, resolve=resolve)
    except SyscallError as error:
        if error.errno == errno.ELOOP:
            raise ZonectlError(f"{target} of the root leads through a link") from error
        raise
