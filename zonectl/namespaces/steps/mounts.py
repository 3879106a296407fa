"""Steps that put the zone's root together.

Host steps clone trees of the host into detached mounts and map their owners; inside steps, done by init in its own
mount namespace, place them. What init mounts vanishes with its namespace: none of it can leak. Every path in the
zone's root is resolved by openat2 to a descriptor, and the descriptor is what is mounted on (TRUST.md).
"""

from __future__ import annotations

from dataclasses import dataclass

from zonectl.model.steps import Call, Side

STAGING = "/tmp"  # noqa: S108 - a mount point in init's own namespace, under a tmpfs of its own before anything is made
"""Where init puts the root together; any folder that every host has and every id may search."""

NONE = "none"
"""An empty folder in the staging folder."""

NODES = "nodes"
"""Where, in the staging folder, the zone's own device nodes are."""

FILES = "files"
"""Where, in the staging folder, the small files are kept: cloning from a mount without a place needs Linux 6.15."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloneTree:
    """Clone the tree at the host's `path` into a detached mount, which init receives as its tree number `slot`.

    `idmapped` shows owners as the zone's ids; `attributes` are those of mount_setattr(2), without MOUNT_ATTR_.
    """

    slot: int
    path: str
    idmapped: bool
    attributes: tuple[str, ...] = ()
    recursive: bool = False
    side: Side = Side.HOST

    @property
    def summary(self) -> str:
        """What it achieves."""
        return f"take {self.path}" + (" with the zone's ids" if self.idmapped else "")

    @property
    def calls(self) -> tuple[Call, ...]:
        """One open_tree, and one mount_setattr where something is to be set."""
        detail = "OPEN_TREE_CLONE" + ("|AT_RECURSIVE" if self.recursive else "")
        taken = Call(name="open_tree", target=self.path, detail=detail, man="mount_namespaces(7)")
        attributes = attribute_names(self.attributes) + (("MOUNT_ATTR_IDMAP",) if self.idmapped else ())
        if not attributes:
            return (taken,)
        detail = "|".join(attributes)
        return taken, Call(name="mount_setattr", target=self.path, detail=detail, man="mount_setattr(2)")


@dataclass(frozen=True, slots=True, kw_only=True)
class MakePrivate:
    """Cut the new mount namespace off from the host's, before the first mount in it."""

    side: Side = Side.INSIDE

    @property
    def summary(self) -> str:
        """What it achieves."""
        return "make the mount tree private"

    @property
    def calls(self) -> tuple[Call, ...]:
        """One mount."""
        return (Call(name="mount", target="/", detail="MS_REC|MS_PRIVATE", man="mount_namespaces(7)"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Cover the staging folder with a tmpfs, move the trees of `slots` into it, and make the folders of `names`."""

    slots: tuple[int, ...]
    names: tuple[str, ...]
    side: Side = Side.INSIDE

    @property
    def summary(self) -> str:
        """What it achieves."""
        return "lay out what the root is made of"

    @property
    def calls(self) -> tuple[Call, ...]:
        """The tmpfs, then a folder for each tree and the tree in it, relative to the staging folder."""
        placed = tuple(
            call
            for slot in self.slots
            for call in (
                Call(name="mkdir", target=str(slot), man="mkdir(2)"),
                Call(name="move_mount", target=str(slot), detail=f"tree {slot}", man="mount(2)"),
            )
        )
        return (
            Call(
                name="mount",
                target=STAGING,
                detail="tmpfs MS_NOSUID|MS_NODEV mode=0700,size=64k",
                man="tmpfs(5)",
            ),
            Call(name="chdir", target=STAGING, man="chdir(2)"),
            *placed,
            *(Call(name="mkdir", target=name, man="mkdir(2)") for name in self.names),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MountOverlay:
    """Mount an overlay on the staging folder's `name`: trees `lowers`, topmost first, below folders of tree `upper`.

    Those are `upperdir` and `workdir`. `volatile` makes fsync a no-op, for roots that are thrown away. A `readonly`
    one has no upper layer, so that no remount makes it writable: `upperdir` is its topmost lower one then, and where
    `upper` is None an empty folder is the second that overlay wants. Device nodes of a root are not honoured.
    """

    name: str
    lowers: tuple[int, ...]
    upper: int | None
    upperdir: str = "upper"
    workdir: str = "work"
    volatile: bool = False
    readonly: bool = False
    side: Side = Side.INSIDE

    @property
    def summary(self) -> str:
        """What it achieves."""
        if self.readonly:
            return f"show the zone's {self.name} read-only, for good"
        return f"lay the zone's writable layer over its {self.name}"

    @property
    def options(self) -> str:
        """The mount options; folders are relative to the staging folder, which keeps them short."""
        lowers = [str(slot) for slot in self.lowers]
        if self.readonly:
            own = [] if self.upper is None else [f"{self.upper}/{self.upperdir}"]
            last = [NONE] if self.upper is None else []
            return f"lowerdir={':'.join(own + lowers + last)},userxattr"
        layer = f"upperdir={self.upper}/{self.upperdir},workdir={self.upper}/{self.workdir}"
        return f"lowerdir={':'.join(lowers)},{layer},userxattr" + (",volatile" if self.volatile else "")

    @property
    def calls(self) -> tuple[Call, ...]:
        """One mount."""
        flags = "MS_RDONLY|MS_NODEV" if self.readonly else "MS_NODEV"
        return (
            Call(name="mount", target=self.name, detail=f"overlay {flags} {self.options}", man="mount(2)"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeMountPoints:
    """Make what will be mounted on, in the staging folder's `folder`, while it can still be written.

    `points` are absolute paths below it, each with what it is: "folder", "file", or the tree that decides.
    """

    folder: str
    points: tuple[tuple[str, str | int], ...]
    side: Side = Side.INSIDE

    @property
    def summary(self) -> str:
        """What it achieves."""
        return "make the mount points of a read-only root"

    @property
    def calls(self) -> tuple[Call, ...]:
        """What is missing is made."""
        both = {"folder": ("mkdirat",), "file": ("openat",)}
        kinds = ((point, both.get(str(kind), ("mkdirat", "openat"))) for point, kind in self.points)
        # What is in the folder "root" is named as the zone will name it.
        above = "" if self.folder == "root" else self.folder
        return tuple(
            call for point, names in kinds for name in names for call in made(f"{above}{point}", kind=name)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmount:
    """Unmount the staging folder's `name`."""

    name: str
    side: Side = Side.INSIDE

    @property
    def summary(self) -> str:
        """What it achieves."""
        return f"take {self.name} down again"

    @property
    def calls(self) -> tuple[Call, ...]:
        """One umount2."""
        return (Call(name="umount2", target=self.name, man="umount(2)"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceStaged:
    """Move the mount on the staging folder's `name` to `target` in the root."""

    name: str
    target: str
    side: Side = Side.INSIDE

    @property
    def summary(self) -> str:
        """What it achieves."""
        return f"put {self.target} in place"

    @property
    def calls(self) -> tuple[Call, ...]:
        """One move_mount to the target's descriptor."""
        return (
            *made(self.target),
            Call(name="move_mount", target=self.target, detail=self.name, man="mount(2)"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UseTree:
    """Use the tree number `slot` as the root itself."""

    slot: int
    side: Side = Side.INSIDE

    @property
    def summary(self) -> str:
        """What it achieves."""
        return "put the zone's root in place"

    @property
    def calls(self) -> tuple[Call, ...]:
        """One move_mount."""
        return (Call(name="move_mount", target="root", detail=f"tree {self.slot}", man="mount(2)"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceTree:
    """Mount the tree number `slot` (a folder or a file of the host's) at `target` in the root."""

    slot: int
    target: str
    source: str
    side: Side = Side.INSIDE

    @property
    def summary(self) -> str:
        """What it achieves."""
        return f"mount the host's {self.source} at {self.target}"

    @property
    def calls(self) -> tuple[Call, ...]:
        """One move_mount to the target's descriptor; a file's target is a file."""
        return (
            *made(self.target),
            *made(self.target, kind="openat"),
            Call(name="move_mount", target=self.target, detail=f"tree {self.slot}", man="mount(2)"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchRoot:
    """Change into the root. `how` is "pivot_root", or "chroot" for hosts whose root cannot be pivoted."""

    how: str
    side: Side = Side.INSIDE

    @property
    def summary(self) -> str:
        """What it achieves."""
        return "leave the host's root behind"

    @property
    def calls(self) -> tuple[Call, ...]:
        """pivot_root over itself and a detach of what is below it, or a move over / and chroot."""
        if self.how == "chroot":
            return (
                Call(name="fchdir", target="/", man="chdir(2)"),
                Call(name="mount", target="/", detail="MS_MOVE", man="mount(2)"),
                Call(name="chroot", target=".", man="chroot(2)"),
                Call(name="chdir", target="/", man="chdir(2)"),
            )
        return (
            Call(name="fchdir", target="/", man="chdir(2)"),
            Call(name="pivot_root", target=".", detail=".", man="pivot_root(2)"),
            Call(name="umount2", target=".", detail="MNT_DETACH", man="umount(2)"),
            Call(name="chdir", target="/", man="chdir(2)"),
        )


def attribute_names(attributes: tuple[str, ...]) -> tuple[str, ...]:
    """The kernel's names of mount attributes ("nosuid": MOUNT_ATTR_NOSUID)."""
    return tuple(f"MOUNT_ATTR_{name.upper()}" for name in attributes)


def joined_names(attributes: tuple[str, ...]) -> str:
    """The kernel's names of mount attributes as one text."""
    return "|".join(attribute_names(attributes))


def made(target: str, *, kind: str = "mkdirat") -> tuple[Call, ...]:
    """The calls that make a mount point, and its parents, which the root may have already."""
    man = "mkdir(2)" if kind == "mkdirat" else "open(2)"
    return (
        Call(name=kind, target=target, man=man, when="when missing"),
        Call(name="fchmod", target=target, man="chmod(2)", when="when missing"),
    )
