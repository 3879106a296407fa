"""Cloning trees of the host into detached mounts that show the zone's ids."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from zonectl.errors import HostLacks, SyscallError
from zonectl.kernel import mount
from zonectl.kernel.trusted import open_trusted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from zonectl.namespaces.steps.mounts import CloneTree

_ATTRIBUTES = {
    "rdonly": mount.MOUNT_ATTR_RDONLY,
    "nosuid": mount.MOUNT_ATTR_NOSUID,
    "nodev": mount.MOUNT_ATTR_NODEV,
    "noexec": mount.MOUNT_ATTR_NOEXEC,
}


def attribute_bits(attributes: tuple[str, ...]) -> int:
    """The MOUNT_ATTR_ bits of names such as "nosuid"."""
    bits = 0
    for name in attributes:
        bits |= _ATTRIBUTES[name]
    return bits


def new_filesystem(fstype: str, options: Iterable[tuple[str, str]], attributes: tuple[str, ...]) -> int:
    """A descriptor of a new, detached file system, which the caller owns; an option without a value is a flag.

    Raises:
        SyscallError: it cannot be made.

    """
    context = mount.fsopen(fstype)
    try:
        for key, value in options:
            if value:
                mount.fsconfig_string(context, key, value)
            else:
                mount.fsconfig_flag(context, key)
        mount.fsconfig_create(context)
        return mount.fsmount(context, attribute_bits(attributes))
    finally:
        os.close(context)


def apply(step: CloneTree, *, userns: int | None, shared: Callable[[], Iterable[str]] = tuple) -> int:
    """Clone the tree of `step`; `userns` is a descriptor of the zone's user namespace, needed if it is id-mapped.

    `shared` gives the folders of the host that zones may write to, for `open_trusted`.
    Returns a descriptor of the detached mount, which the caller owns; closing it unmounts.

    Raises:
        HostLacks: the file system of the tree cannot be id-mapped.
        SyscallError: it cannot be cloned.
        ZonectlError: its path leads through a link that others than root could have made.

    """
    recursive = mount.AT_RECURSIVE if step.recursive else 0
    found = open_trusted(step.path, shared=shared)
    try:
        tree = mount.open_tree(found, flags=mount.OPEN_TREE_CLONE | recursive)
    finally:
        os.close(found)
    try:
        _set_attributes(step, tree, userns)
    except BaseException:
        os.close(tree)
        raise
    return tree


def _set_attributes(step: CloneTree, tree: int, userns: int | None) -> None:
    bits = attribute_bits(step.attributes)
    if step.idmapped:
        bits |= mount.MOUNT_ATTR_IDMAP
    if not bits:
        return
    try:
        mount.mount_setattr(
            tree,
            "",
            attr_set=bits,
            userns_fd=userns if step.idmapped else None,
            recursive=step.recursive,
        )
    except SyscallError as error:
        if step.idmapped and error.errno in {errno.EINVAL, errno.EPERM}:
            message = f"{step.path}: its file system cannot show the zone's ids"
            hint = 'move it to ext4, xfs, btrfs or tmpfs, or set namespaces.user = "host"'
            raise HostLacks(message, hint=hint) from error
        raise
