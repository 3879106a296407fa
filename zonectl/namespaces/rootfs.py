"""Putting the zone's root together, by init inside its own mount namespace.

Nothing here follows a path of the zone: `places` resolves each to a descriptor, once, and that is mounted on.
"""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack
from typing import TYPE_CHECKING, TypeAlias, assert_never

from zonectl.errors import ZonectlError
from zonectl.kernel import mount, path
from zonectl.model.devices import NODES
from zonectl.namespaces import masks, nodes, places, profiles
from zonectl.namespaces.scaffold import Scaffold
from zonectl.namespaces.steps.contents import MakeDevices, MountFilesystem, PlaceFiles
from zonectl.namespaces.steps.masks import KERNEL_MOUNTS, MaskPaths
from zonectl.namespaces.steps.mounts import (
    FILES,
    STAGING,
    MakeMountPoints,
    MakePrivate,
    MountOverlay,
    PlaceStaged,
    PlaceTree,
    Stage,
    SwitchRoot,
    Unmount,
    UseTree,
)
from zonectl.namespaces.steps.nodes import PlaceNodes
from zonectl.namespaces.steps.profiles import ProtectRoot
from zonectl.namespaces.steps.scaffold import EnterScaffold, LockMounts
from zonectl.namespaces.trees import new_filesystem

if TYPE_CHECKING:
    from collections.abc import Sequence

RootStep: TypeAlias = (
    EnterScaffold
    | MakePrivate
    | Stage
    | MountOverlay
    | PlaceStaged
    | UseTree
    | MountFilesystem
    | MakeDevices
    | PlaceTree
    | MaskPaths
    | PlaceNodes
    | ProtectRoot
    | PlaceFiles
    | MakeMountPoints
    | Unmount
    | SwitchRoot
    | LockMounts
)

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


class Assembly:
    """A root being put together from `trees`, the detached mounts that the worker has passed, in slot order.

    It owns the trees and what it opens; `close` gives all of them back. Descriptors of /proc and /sys are kept until
    then, so that what is masked in them is not looked for along paths of the zone's.
    """

    def __init__(self, trees: Sequence[int]) -> None:
        self._trees = tuple(trees)
        self._root: int | None = None
        self._kernel: dict[str, int] = {}
        self._scaffold: Scaffold | None = None

    def apply(self, step: RootStep) -> None:  # noqa: C901, PLR0912, PLR0915 - one arm a kind of step
        """Carry out one step.

        Raises:
            SyscallError: a call failed.
            ZonectlError: a path in the root leads nowhere, or to something of the wrong type.

        """
        match step:
            case EnterScaffold():
                self._scaffold = Scaffold()
            case LockMounts():
                self._lock_mounts()
            case MakePrivate():
                mount.mount("none", "/", "", mount.MS_REC | mount.MS_PRIVATE, "")
            case Stage():
                self._stage(step)
            case MountOverlay():
                flags = mount.MS_NODEV | (mount.MS_RDONLY if step.readonly else 0)
                mount.mount("overlay", step.name, "overlay", flags, step.options)
            case MakeMountPoints():
                self._make_mount_points(step)
            case Unmount():
                mount.umount(step.name, 0)
            case PlaceStaged():
                self._place_staged(step)
            case UseTree():
                mount.move_mount(self._trees[step.slot], to_path="root")
            case MountFilesystem():
                self._mount_filesystem(step)
            case MakeDevices():
                self._make_devices(step)
            case PlaceTree():
                self._place_tree(step)
            case MaskPaths():
                masks.apply(step, self._kernel)
            case ProtectRoot():
                profiles.apply(step, self._root_fd())
            case PlaceNodes():
                nodes.place(step, self._trees[step.slot], self._root_fd())
            case PlaceFiles():
                self._place_files(step)
            case SwitchRoot():
                self._switch(step)
            case _:
                assert_never(step)

    def close(self) -> None:
        """Close every descriptor that is still held."""
        for descriptor in (*self._trees, self._root, *self._kernel.values()):
            if descriptor is not None:
                os.close(descriptor)
        self._trees, self._root, self._kernel = (), None, {}

    def _root_fd(self) -> int:
        # Opened after the root has been mounted on its staging folder, never before: the folder is not the root.
        if self._root is None:
            self._root = os.open("root", os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        return self._root

    def _stage(self, step: Stage) -> None:
        flags = mount.MS_NOSUID | mount.MS_NODEV
        mount.mount("tmpfs", STAGING, "tmpfs", flags, "mode=0700,size=64k")
        os.chdir(STAGING)
        for slot in step.slots:
            os.mkdir(str(slot), 0o700)
            mount.move_mount(self._trees[slot], to_path=str(slot))
        for name in step.names:
            os.mkdir(name, 0o700)

    def _place_staged(self, step: PlaceStaged) -> None:
        with ExitStack() as held:
            target = held.enter_context(_opened(places.folder(self._root_fd(), step.target)))
            source = held.enter_context(_opened(os.open(step.name, os.O_PATH | os.O_CLOEXEC)))
            mount.move_mount(source, to_fd=target)

    def _mount_filesystem(self, step: MountFilesystem) -> None:
        with ExitStack() as held:
            target = held.enter_context(_opened(places.folder(self._root_fd(), step.target)))
            made = _new_filesystem(step)
            if step.target in KERNEL_MOUNTS:
                self._kernel[step.target] = made
            else:
                held.callback(os.close, made)
            mount.move_mount(made, to_fd=target)

    def _make_devices(self, step: MakeDevices) -> None:
        with ExitStack() as held:
            target = held.enter_context(_opened(places.folder(self._root_fd(), "/dev")))
            dev = held.enter_context(_opened(_new_filesystem(step.filesystem)))
            mount.move_mount(dev, to_fd=target)
            for name in step.folders:
                os.mkdir(name, 0o755, dir_fd=dev)
            for name, to in step.links:
                os.symlink(to, name, dir_fd=dev)
            for name in step.nodes:
                _bind_node(dev, name)

    def _place_tree(self, step: PlaceTree) -> None:
        tree = self._trees[step.slot]
        find = places.folder if stat.S_ISDIR(os.fstat(tree).st_mode) else places.file
        with ExitStack() as held:
            target = held.enter_context(_opened(find(self._root_fd(), step.target)))
            mount.move_mount(tree, to_fd=target)
        if step.target in KERNEL_MOUNTS:
            self._kernel[step.target] = os.dup(tree)

    def _make_mount_points(self, step: MakeMountPoints) -> None:
        flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        with _opened(os.open(step.folder, flags)) as root:
            for point, kind in step.points:
                if self._is_folder(kind):
                    os.close(path.make_dirs_in_root(root, point, 0o755, owner=None))
                    continue
                with places.dangling_left_alone():
                    os.close(path.make_file_in_root(root, point, 0o644, owner=None))

    def _is_folder(self, kind: str | int) -> bool:
        if isinstance(kind, int):
            return stat.S_ISDIR(os.fstat(self._trees[kind]).st_mode)
        return kind == "folder"

    def _place_files(self, step: PlaceFiles) -> None:
        with _opened(_new_filesystem(step.filesystem)) as folder:
            mount.move_mount(folder, to_path=FILES)
            for target, text in step.files:
                name = os.path.basename(target)
                with _opened(os.open(name, _NEW_FILE, 0o644, dir_fd=folder)) as made:
                    os.fchmod(made, 0o644)  # whatever the caller's umask
                    os.write(made, text.encode())
                self._bind_file(folder, name, target)

    def _bind_file(self, folder: int, name: str, target: str) -> None:
        with ExitStack() as held:
            held.enter_context(places.dangling_left_alone())
            place = held.enter_context(_opened(places.file(self._root_fd(), target)))
            source = held.enter_context(_opened(mount.open_tree(folder, name, mount.OPEN_TREE_CLONE)))
            mount.move_mount(source, to_fd=place)

    def _switch(self, step: SwitchRoot) -> None:
        os.fchdir(self._root_fd())
        if step.how == "chroot":
            # As switch_root(8): the tree below / is covered, and no path leads to it.
            mount.mount(".", "/", "", mount.MS_MOVE, "")
            os.chroot(".")
        else:
            mount.pivot_root(".", ".")
            mount.umount(".", mount.MNT_DETACH)
        os.chdir("/")

    def _lock_mounts(self) -> None:
        if self._scaffold is None:
            msg = "mounts are locked on a scaffold only"
            raise ZonectlError(msg)
        self._scaffold.leave()
        self._scaffold = None


def _opened(descriptor: int) -> _Descriptor:
    return _Descriptor(descriptor)


class _Descriptor:
    """A descriptor that is closed at the end of a `with` block."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __enter__(self) -> int:
        return self._number

    def __exit__(self, *_: object) -> None:
        os.close(self._number)


def _new_filesystem(step: MountFilesystem) -> int:
    return new_filesystem(step.fstype, step.options, step.attributes)


def _bind_node(dev: int, name: str) -> None:
    source = mount.open_tree(mount.AT_FDCWD, f"/dev/{name}", mount.OPEN_TREE_CLONE)
    with _opened(source), _opened(os.open(name, _NEW_FILE, 0o666, dir_fd=dev)) as place:
        found = os.fstat(source)
        if not stat.S_ISCHR(found.st_mode) or found.st_rdev != os.makedev(*NODES[name]):
            msg = f"/dev/{name} of the host is another device"
            raise ZonectlError(msg)
        mount.move_mount(source, to_fd=place)
