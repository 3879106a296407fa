"""Steps that fill the zone's root: file systems of the kernel's, device nodes, small files.

All of them are init's, in its own mount namespace; targets are resolved to descriptors as in `mounts`.
"""

from __future__ import annotations

from dataclasses import dataclass

from zonectl.model.steps import Call, Side
from zonectl.namespaces.steps.mounts import FILES, joined_names, made


@dataclass(frozen=True, slots=True, kw_only=True)
class MountFilesystem:
    """Mount a new file system of a kernel type at `target` in the root, made there when missing.

    `options` are the file system's own, `attributes` those of fsmount(2), without MOUNT_ATTR_.
    """

    fstype: str
    target: str
    options: tuple[tuple[str, str], ...] = ()
    attributes: tuple[str, ...] = ()
    side: Side = Side.INSIDE

    @property
    def summary(self) -> str:
        """What it achieves."""
        return f"mount {self.fstype} at {self.target}"

    @property
    def calls(self) -> tuple[Call, ...]:
        """Open, configure, make, and move it to the target's descriptor."""
        return (
            *(made(self.target) if self.target not in MADE_WITH_DEV else ()),
            *_filesystem(self),
            Call(name="move_mount", target=self.target, detail=self.fstype, man="mount(2)"),
        )


def _filesystem(step: MountFilesystem) -> tuple[Call, ...]:
    options = (f"{key}={value}" if value else key for key, value in step.options)
    return (
        Call(name="fsopen", target=step.fstype, man="mount(2)"),
        *(Call(name="fsconfig", target=step.fstype, detail=option, man="mount(2)") for option in options),
        Call(name="fsconfig", target=step.fstype, detail="create", man="mount(2)"),
        Call(name="fsmount", target=step.fstype, detail=joined_names(step.attributes), man="mount(2)"),
    )


MADE_WITH_DEV = frozenset({"/dev/pts", "/dev/shm", "/dev/mqueue"})  # noqa: S108 - the zone's, not the host's
"""Mount points that `MakeDevices` makes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeDevices:
    """Make /dev: a small tmpfs with bind mounts of the host's harmless `nodes`, the usual `links`, and `folders`."""

    nodes: tuple[str, ...]
    links: tuple[tuple[str, str], ...]
    folders: tuple[str, ...]
    side: Side = Side.INSIDE

    @property
    def summary(self) -> str:
        """What it achieves."""
        return "make /dev with " + " ".join(self.nodes)

    @property
    def filesystem(self) -> MountFilesystem:
        """The tmpfs that they are in; its nodev holds for what the zone makes, not for nodes, each a mount itself."""
        return MountFilesystem(
            fstype="tmpfs",
            target="/dev",
            options=(("mode", "0755"), ("size", "64k"), ("nr_inodes", "1024")),
            attributes=("nosuid", "nodev", "noexec"),
        )

    @property
    def calls(self) -> tuple[Call, ...]:
        """The tmpfs, its folders and links, then the nodes."""
        folders = (Call(name="mkdirat", target=f"/dev/{name}", man="mkdir(2)") for name in self.folders)
        links = (
            Call(name="symlinkat", target=f"/dev/{name}", detail=to, man="symlink(2)")
            for name, to in self.links
        )
        return (
            *self.filesystem.calls,
            *folders,
            *links,
            *(call for name in self.nodes for call in _node(name)),
        )


def _node(name: str) -> tuple[Call, ...]:
    return (
        Call(name="open_tree", target=f"/dev/{name}", detail="OPEN_TREE_CLONE", man="mount_namespaces(7)"),
        Call(name="openat", target=f"/dev/{name}", detail="O_CREAT|O_EXCL", man="open(2)"),
        Call(name="move_mount", target=f"/dev/{name}", detail="bind", man="mount(2)"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceFiles:
    """Mount small files over the root's own, from one tmpfs: they hold for this run only, and spare the image.

    `files` are (absolute path in the zone, text).
    """

    files: tuple[tuple[str, str], ...]
    side: Side = Side.INSIDE

    @property
    def summary(self) -> str:
        """What it achieves."""
        return "write " + " ".join(path for path, _ in self.files)

    @property
    def filesystem(self) -> MountFilesystem:
        """The tmpfs that they are in."""
        return MountFilesystem(
            fstype="tmpfs",
            target="",
            options=(("mode", "0755"), ("size", "256k")),
            attributes=("nosuid", "nodev"),
        )

    @property
    def calls(self) -> tuple[Call, ...]:
        """One tmpfs; a file in it, and a bind mount, for each path."""
        return (
            *_filesystem(self.filesystem),
            Call(name="move_mount", target=FILES, detail="tmpfs", man="mount(2)"),
            *(call for path, _ in self.files for call in _file(path)),
        )


def _file(path: str) -> tuple[Call, ...]:
    name = f"{FILES}/{path.rpartition('/')[2]}"
    return (
        Call(name="openat", target=name, detail="O_CREAT|O_EXCL", man="open(2)"),
        Call(name="fchmod", target=name, detail="0644", man="chmod(2)"),
        Call(name="write", target=name, man="write(2)"),
        *made(path, kind="openat"),
        Call(name="open_tree", target=name, detail="OPEN_TREE_CLONE", man="mount_namespaces(7)"),
        Call(name="move_mount", target=path, detail="bind", man="mount(2)"),
    )
