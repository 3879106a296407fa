"""Putting the zone's root together: what each step has init call, inside its own mount namespace.

Nothing there follows a path of the zone: native/places.c resolves each to a descriptor, once, and that is mounted on.
"""

from __future__ import annotations

from typing import TypeAlias, assert_never

from zonectl.kernel import mount
from zonectl.model.devices import NODES
from zonectl.model.script import HERE, Script
from zonectl.namespaces import masks, nodes, profiles
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
from zonectl.namespaces.trees import attribute_bits

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

_KERNELS_PLACES = frozenset({"dev", "proc", "sys"})


def write(step: RootStep, script: Script) -> None:  # noqa: C901, PLR0912, PLR0915 - one arm a kind of step
    """Add the calls of one step to the script; the working folder is the staging folder, once that is there."""
    match step:
        case EnterScaffold():
            script.enter_scaffold()
        case LockMounts():
            script.lock_mounts()
        case MakePrivate():
            script.mount("none", "/", "", mount.MS_REC | mount.MS_PRIVATE, "")
        case Stage():
            _stage(step, script)
        case MountOverlay():
            flags = mount.MS_NODEV | (mount.MS_RDONLY if step.readonly else 0)
            script.mount("overlay", step.name, "overlay", flags, step.options)
        case MakeMountPoints():
            _make_mount_points(step, script)
        case Unmount():
            script.unmount(step.name)
        case PlaceStaged():
            _place_staged(step, script)
        case UseTree():
            script.move(script.tree(step.slot), HERE, "root")
        case MountFilesystem():
            _mount_filesystem(step, script)
        case MakeDevices():
            _make_devices(step, script)
        case PlaceTree():
            _place_tree(step, script)
        case MaskPaths():
            masks.write(step, script)
        case ProtectRoot():
            profiles.write(step, script)
        case PlaceNodes():
            nodes.write(step, script)
        case PlaceFiles():
            _place_files(step, script)
        case SwitchRoot():
            _switch(step, script)
        case _:
            assert_never(step)


def _stage(step: Stage, script: Script) -> None:
    script.mount("tmpfs", STAGING, "tmpfs", mount.MS_NOSUID | mount.MS_NODEV, "mode=0700,size=64k")
    script.change_folder(STAGING)
    for slot in step.slots:
        script.make_folder(HERE, str(slot), 0o700)
        script.move(script.tree(slot), HERE, str(slot))
    for name in step.names:
        script.make_folder(HERE, name, 0o700)


def _place_staged(step: PlaceStaged, script: Script) -> None:
    target, source = script.descriptor(), script.descriptor()
    script.folder(target, step.target, plain=_is_kernels(step.target))
    script.open(source, HERE, step.name)
    script.move(source, target)
    script.close(source, target)


def new_filesystem(step: MountFilesystem, script: Script) -> int:
    """The register of a new file system, detached."""
    made = script.descriptor()
    script.filesystem(made, step.fstype, step.options, attribute_bits(step.attributes))
    return made


def _mount_filesystem(step: MountFilesystem, script: Script) -> None:
    target = script.descriptor()
    script.folder(target, step.target, plain=_is_kernels(step.target))
    made = new_filesystem(step, script)
    script.move(made, target)
    script.close(target)
    if step.target in KERNEL_MOUNTS:
        script.kernel_mounts[step.target] = made
    else:
        script.close(made)


def _make_devices(step: MakeDevices, script: Script) -> None:
    target = script.descriptor()
    script.folder(target, "/dev", plain=True)
    dev = new_filesystem(step.filesystem, script)
    script.move(dev, target)
    for name in step.folders:
        script.make_folder(dev, name, 0o755)
    for name, to in step.links:
        script.make_link(dev, name, to)
    for name in step.nodes:
        script.place_node(dev, f"/dev/{name}", name, NODES[name])
    script.close(dev, target)


def _place_tree(step: PlaceTree, script: Script) -> None:
    script.place_tree(script.tree(step.slot), step.target, plain=_is_kernels(step.target))
    if step.target in KERNEL_MOUNTS:
        script.kernel_mounts[step.target] = script.tree(step.slot)


def _make_mount_points(step: MakeMountPoints, script: Script) -> None:
    root = script.descriptor()
    script.open(root, HERE, step.folder)
    for point, kind in step.points:
        script.point(root, point, script.tree(kind) if isinstance(kind, int) else kind)
    script.close(root)


def _place_files(step: PlaceFiles, script: Script) -> None:
    folder = new_filesystem(step.filesystem, script)
    script.move(folder, HERE, FILES)
    for target, text in step.files:
        name, there = target.rpartition("/")[2], script.condition()
        script.make_file(folder, name, text, 0o644)
        place, source = script.descriptor(), script.descriptor()
        # A dangling link (to a resolver's file, say) is passed over: the root brings its own.
        script.file(place, target, 0o644, notes=there)
        script.clone(source, folder, name, when=there)
        script.move(source, place, when=there)
        script.close(source, place)
    script.close(folder)


def _switch(step: SwitchRoot, script: Script) -> None:
    script.enter(script.root())
    if step.how == "chroot":
        # As switch_root(8): the tree below / is covered, and no path leads to it.
        script.mount(".", "/", "", mount.MS_MOVE, "")
        script.change_root(".")
    else:
        script.pivot()
        script.unmount(".", mount.MNT_DETACH)
    script.change_folder("/")


def _is_kernels(target: str) -> bool:
    """Where a file system of the kernel's goes: no link may lead there."""
    return target.split("/")[1] in _KERNELS_PLACES
