"""Which steps give a zone its namespaces and its root. Pure: configuration and facts in, frozen steps out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from zonectl.model.config import MountKind, NetworkMode, RootMode
from zonectl.model.ids import ZONE_IDS
from zonectl.namespaces.steps.contents import MADE_WITH_DEV, MakeDevices, MountFilesystem, PlaceFiles
from zonectl.namespaces.steps.mounts import (
    FILES,
    NONE,
    CloneTree,
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
from zonectl.namespaces.steps.nodes import MakeNodes, Node, PlaceNodes
from zonectl.namespaces.steps.process import BecomeRoot, CloneInit, SetHostname, ShiftClocks, WriteIdMap
from zonectl.namespaces.steps.profiles import protect_step
from zonectl.namespaces.steps.scaffold import EnterScaffold, LockMounts
from zonectl.namespaces.steps.system import KERNEL_ATTRIBUTES, kernel_steps

if TYPE_CHECKING:
    from zonectl.model.config import MountConfig, ZoneConfig
    from zonectl.model.facts import HostFacts
    from zonectl.model.steps import Binding, Step

_BYTES_A_FILE = 4096
_FEWEST_FILES = 1024


def namespace_kinds(config: ZoneConfig) -> tuple[str, ...]:
    """The namespaces that the zone has of its own besides that of time, which init makes itself."""
    chosen = config.namespaces
    net = chosen.net and config.network.mode is not NetworkMode.HOST
    wanted = (
        ("user", chosen.user),
        ("mnt", True),
        ("pid", True),
        ("cgroup", True),
        ("net", net),
        ("uts", chosen.uts),
        ("ipc", chosen.ipc),
    )
    return tuple(kind for kind, own in wanted if own)


def born_kinds(config: ZoneConfig) -> tuple[str, ...]:
    """The namespaces that init is cloned into: with ids of its own, it takes its mount namespace from a scaffold."""
    return tuple(kind for kind in namespace_kinds(config) if kind != "mnt" or not config.namespaces.user)


def clone_step(config: ZoneConfig, binding: Binding, *, cgroup: str) -> CloneInit:
    """The step that makes init."""
    owner = binding.first_id if config.namespaces.user else ""
    return CloneInit(namespaces=born_kinds(config), cgroup=cgroup, owner=owner)


def id_map_steps(config: ZoneConfig, binding: Binding) -> tuple[WriteIdMap, ...]:
    """The steps that give a user namespace its ids."""
    if not config.namespaces.user:
        return ()
    return tuple(WriteIdMap(kind=kind, first=binding.first_id, count=ZONE_IDS) for kind in ("uid", "gid"))


def tree_steps(config: ZoneConfig, binding: Binding, facts: HostFacts) -> tuple[CloneTree | MakeNodes, ...]:
    """The steps that clone every tree of the host that the zone sees, in the order of their slots."""
    taken: list[CloneTree | MakeNodes] = []

    def take(path: str, *attributes: str, recursive: bool = False, idmapped: bool = True) -> None:
        taken.append(
            CloneTree(
                slot=len(taken),
                path=path,
                idmapped=idmapped and config.namespaces.user,
                attributes=attributes,
                recursive=recursive,
            )
        )

    if config.root.mode is RootMode.COPY:
        take(f"{binding.zone_dir}/root", "nodev")
    else:
        for layer in binding.layers:
            take(layer)
        take(binding.zone_dir)
        if config.root.host:
            take("/usr", "nodev")
    if "net" not in namespace_kinds(config):
        take("/sys", "rdonly", *KERNEL_ATTRIBUTES, idmapped=False)
    if not config.namespaces.ipc and facts.mqueue:
        take("/dev/mqueue", "rdonly", *KERNEL_ATTRIBUTES, idmapped=False)
    taken.extend(_make_nodes(config, binding, slot=len(taken)))
    for mount in config.mounts:
        if mount.kind is MountKind.BIND:
            take(mount.source or "", *_attributes(mount), recursive=mount.recursive)
    return tuple(taken)


def inside_steps(
    config: ZoneConfig,
    binding: Binding,
    facts: HostFacts,
    *,
    files: tuple[tuple[str, str], ...],
    volatile: bool,
) -> tuple[Step, ...]:
    """The steps that init takes before it leaves the host's root.

    `files` are the small files mounted over the root's own; `volatile` makes fsync in the root a no-op.
    """
    trees = tree_steps(config, binding, facts)
    # Without the layers: a root may be a folder that is also shown for another reason.
    own = 0 if config.root.mode is RootMode.COPY else len(binding.layers)
    slots = {tree.path: tree.slot for tree in reversed(trees[own:])}
    binds = len(trees) - _binds(config)
    own_net = "net" in namespace_kinds(config)
    contents = (
        *kernel_steps(config, slots, facts, own_net=own_net),
        *_place_nodes(config, slot=binds - 1),
        *((PlaceFiles(files=files),) if files else ()),
        *_mount_steps(config, first_slot=binds),
    )
    return (
        *_clock_steps(config),
        # The scaffold is cut off by the kernel: what was shared is only received there (mount_namespaces(7)).
        EnterScaffold() if config.namespaces.user else MakePrivate(),
        *((SetHostname(hostname=config.hostname or config.name),) if config.namespaces.uts else ()),
        *_root_steps(config, binding, slots, points=_points(config, contents, files), volatile=volatile),
        *contents,
    )


def first_steps(config: ZoneConfig) -> tuple[BecomeRoot, ...]:
    """What init does first, and before it hears its script: it has ids of its own as soon as they are mapped."""
    return (BecomeRoot(),) if config.namespaces.user else ()


def switch_steps(config: ZoneConfig) -> tuple[SwitchRoot | LockMounts, ...]:
    """The steps that leave the host's root, and what it was put together on."""
    switched = SwitchRoot(how=config.root.switch.value)
    return (switched, LockMounts()) if config.namespaces.user else (switched,)


def _clock_steps(config: ZoneConfig) -> tuple[Step, ...]:
    chosen = config.namespaces
    if not chosen.time:
        return ()
    return (ShiftClocks(boottime_s=chosen.boottime_offset_s, monotonic_s=chosen.monotonic_offset_s),)


def _points(
    config: ZoneConfig, contents: tuple[Step, ...], files: tuple[tuple[str, str], ...]
) -> tuple[tuple[str, str | int], ...]:
    """What a read-only root must have before it is: the targets of all that is mounted in it."""
    found: list[tuple[str, str | int]] = []
    for step in contents:
        match step:
            case PlaceTree():
                found.append((step.target, step.slot))
            case MakeDevices():
                found.append(("/dev", "folder"))
            case MountFilesystem() if step.target not in MADE_WITH_DEV and not step.target.startswith(
                "/sys/"
            ):
                found.append((step.target, "folder"))
            case _:
                continue
    if config.root.host:
        found.append(("/usr", "folder"))
    return (*found, *((path, "file") for path, _ in files))


def _root_steps(
    config: ZoneConfig,
    binding: Binding,
    slots: dict[str, int],
    *,
    points: tuple[tuple[str, str | int], ...],
    volatile: bool,
) -> tuple[Step, ...]:
    if config.root.mode is RootMode.COPY:
        return _copy_steps(config, points)
    lowers = tuple(range(len(binding.layers)))
    own = len(lowers)
    usr_slots = (slots["/usr"],) if config.root.host else ()
    names = ("root", *(("usr",) if usr_slots else ()), FILES, NONE)
    root = MountOverlay(name="root", lowers=lowers, upper=own, volatile=volatile)
    usr = MountOverlay(
        name="usr", lowers=usr_slots, upper=own, upperdir="upper-usr", workdir="work-usr", volatile=volatile
    )
    staged = Stage(slots=(*lowers, own, *usr_slots), names=names)
    first: tuple[Step, ...] = (staged, root)
    protect = protect_step(config.root.profile)
    if config.root.sealed:
        made = MakeMountPoints(folder="root", points=points)
        first = (staged, root, made, Unmount(name="root"), replace(root, readonly=True))
    elif protect:
        first = (staged, root, MakeMountPoints(folder="root", points=points), protect)
    if config.root.sealed or protect:
        usr = replace(usr, readonly=True)
    return (*first, *((usr, PlaceStaged(name="usr", target="/usr")) if usr_slots else ()))


def _copy_steps(config: ZoneConfig, points: tuple[tuple[str, str | int], ...]) -> tuple[Step, ...]:
    if not config.root.sealed:
        used = (Stage(slots=(), names=("root", FILES, NONE)), UseTree(slot=0))
        protect = protect_step(config.root.profile)
        return (*used, MakeMountPoints(folder="root", points=points), protect) if protect else used
    return (
        Stage(slots=(0,), names=("root", FILES, NONE)),
        MakeMountPoints(folder="0", points=points),
        MountOverlay(name="root", lowers=(0,), upper=None, readonly=True),
    )


def _mount_steps(config: ZoneConfig, *, first_slot: int) -> tuple[Step, ...]:
    slot = first_slot
    steps: list[Step] = []
    for mount in config.mounts:
        if mount.kind is MountKind.TMPFS:
            steps.append(_tmpfs(mount))
        else:
            steps.append(PlaceTree(slot=slot, target=mount.target, source=mount.source or ""))
            slot += 1
    return tuple(steps)


def _nodes(config: ZoneConfig) -> tuple[Node, ...]:
    return tuple(
        Node(path=device.path, target=device.target or device.path, mode=device.mode)
        for device in config.devices
    )


def _make_nodes(config: ZoneConfig, binding: Binding, *, slot: int) -> tuple[MakeNodes, ...]:
    owner = binding.first_id if config.namespaces.user else "0"
    return (MakeNodes(slot=slot, nodes=_nodes(config), owner=owner),) if config.devices else ()


def _place_nodes(config: ZoneConfig, *, slot: int) -> tuple[Step, ...]:
    targets = tuple(node.target for node in _nodes(config))
    return (PlaceNodes(slot=slot, targets=targets),) if targets else ()


def _binds(config: ZoneConfig) -> int:
    return sum(mount.kind is MountKind.BIND for mount in config.mounts)


def _tmpfs(mount: MountConfig) -> MountFilesystem:
    options = (("mode", f"{mount.mode:04o}"), *_tmpfs_bounds(mount.size_bytes))
    return MountFilesystem(
        fstype="tmpfs", target=mount.target, options=options, attributes=_attributes(mount)
    )


def _tmpfs_bounds(size_bytes: int | None) -> tuple[tuple[str, str], ...]:
    # Files without content take memory, too, which the size does not bound.
    if size_bytes is None:
        return ()
    return ("size", str(size_bytes)), ("nr_inodes", str(max(size_bytes // _BYTES_A_FILE, _FEWEST_FILES)))


def _attributes(mount: MountConfig) -> tuple[str, ...]:
    wanted = (
        ("rdonly", mount.readonly),
        ("nosuid", not mount.suid),
        ("nodev", not mount.dev),
        ("noexec", not mount.exec),
    )
    return tuple(name for name, holds in wanted if holds)
