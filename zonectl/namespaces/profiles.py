"""Making a root read-only but for some folders, by init, before the mounts are locked.

No link is followed: the zone may have put one where a writable folder was, when it last ran.
"""

from __future__ import annotations

import errno
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

from zonectl.errors import SyscallError
from zonectl.kernel import mount, path

if TYPE_CHECKING:
    from zonectl.namespaces.steps.profiles import ProtectRoot

_RESOLVE = path.RESOLVE_BENEATH | path.RESOLVE_NO_SYMLINKS
_ABSENT = frozenset({errno.ENOENT, errno.ELOOP, errno.ENOTDIR})


def apply(step: ProtectRoot, root: int) -> None:
    """Carry `step` out for the root of that descriptor.

    Raises:
        SyscallError: a folder that is there cannot be mounted on itself.

    """
    kept = tuple(folder for folder in step.kept if _is_there(root, folder))
    for folder in (*step.writable, *step.above(kept)):
        _bind(root, folder, readonly=False)
    for folder in kept:
        _bind(root, folder, readonly=True)
    mount.mount_setattr(root, "", attr_set=mount.MOUNT_ATTR_RDONLY)


def _is_there(root: int, folder: str) -> bool:
    found = _open(root, folder)
    if found is not None:
        os.close(found)
    return found is not None


def _bind(root: int, folder: str, *, readonly: bool) -> None:
    place = _open(root, folder)
    if place is None:
        return
    with ExitStack() as held:
        held.callback(os.close, place)
        tree = mount.open_tree(place, "", mount.OPEN_TREE_CLONE | mount.AT_EMPTY_PATH)
        held.callback(os.close, tree)
        if readonly:
            mount.mount_setattr(tree, "", attr_set=mount.MOUNT_ATTR_RDONLY)
        mount.move_mount(tree, to_fd=place)


def _open(root: int, folder: str) -> int | None:
    """A descriptor of `folder` of the root, owned by the caller; None where there is none."""
    try:
        return path.openat2(root, folder.lstrip("/"), os.O_PATH | os.O_DIRECTORY, resolve=_RESOLVE)
    except SyscallError as error:
        if error.errno not in _ABSENT:
            raise
        return None
