"""Device nodes of the host for a zone: made by the worker, mounted by init (see `steps.nodes`)."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from zonectl.errors import SyscallError, ZonectlError
from zonectl.model.script import HERE
from zonectl.namespaces.steps.mounts import NODES
from zonectl.namespaces.steps.nodes import FILESYSTEM, MakeNodes, Node, PlaceNodes
from zonectl.namespaces.trees import new_filesystem

if TYPE_CHECKING:
    from zonectl.model.script import Script


def make(step: MakeNodes) -> int:
    """A descriptor of the detached file system that holds the nodes of `step`; the caller owns it.

    Raises:
        ZonectlError: what is at the path of a device is none.
        SyscallError: a node cannot be made.

    """
    folder = new_filesystem("tmpfs", FILESYSTEM, step.attributes)
    try:
        for number, node in enumerate(step.nodes):
            _make(folder, str(number), node, owner=int(step.owner))
    except BaseException:
        os.close(folder)
        raise
    return folder


def _make(folder: int, name: str, node: Node, *, owner: int) -> None:
    # By number, not by path: what is opened later is the device that was looked at now.
    try:
        found = os.stat(node.path)
        if not stat.S_ISCHR(found.st_mode) and not stat.S_ISBLK(found.st_mode):
            msg = f"{node.path} is not a device"
            raise ZonectlError(msg)
        mode = stat.S_IMODE(found.st_mode) if node.mode is None else node.mode
        os.mknod(name, stat.S_IFMT(found.st_mode) | 0o600, found.st_rdev, dir_fd=folder)
        os.chown(name, owner, owner, dir_fd=folder, follow_symlinks=False)
        os.chmod(name, mode, dir_fd=folder)  # whatever the caller's umask
    except OSError as error:
        raise SyscallError("mknod", error.errno or 0, node.path) from error


def write(step: PlaceNodes, script: Script) -> None:
    """Add to the script what mounts the nodes of the tree in the root; the working folder is the staging folder."""
    tree = script.tree(step.slot)
    script.make_folder(HERE, NODES, 0o700)
    script.move(tree, HERE, NODES)
    for number, target in enumerate(step.targets):
        place, node = script.descriptor(), script.descriptor()
        script.file(place, target, 0o600)
        script.clone(node, tree, str(number))
        script.move(node, place)
        script.close(node, place)
