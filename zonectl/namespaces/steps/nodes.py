"""Steps that give a zone the device nodes of its file's `[[device]]` tables.

A zone of its own ids cannot make nodes, and those of the host belong to nobody in it. So the worker makes them, with
the zone's ids as their owners, on a file system of the host's that only this zone has, and init mounts each in /dev.
"""

from __future__ import annotations

from dataclasses import dataclass

from zonectl.model.steps import Call, Side
from zonectl.namespaces.steps.mounts import NODES, made

FILESYSTEM = (("mode", "0755"), ("size", "64k"), ("nr_inodes", "1024"))
ATTRIBUTES = ("nosuid", "noexec")
"""Without nodev: this is what its nodes are there for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """The host's device `path` at `target` in the zone; `mode` None is the permissions of the host's."""

    path: str
    target: str
    mode: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeNodes:
    """Make `nodes`, which belong to the host id `owner`, in a file system that init gets as its tree number `slot`."""

    slot: int
    nodes: tuple[Node, ...]
    owner: str
    attributes: tuple[str, ...] = ATTRIBUTES
    side: Side = Side.HOST

    @property
    def path(self) -> str:
        """What it is a tree of, for errors."""
        return "device nodes"

    @property
    def summary(self) -> str:
        """What it achieves."""
        return "make nodes of " + " ".join(node.path for node in self.nodes)

    @property
    def calls(self) -> tuple[Call, ...]:
        """A tmpfs, and a node in it for each, named by its number."""
        options = (
            Call(name="fsconfig", target="tmpfs", detail=f"{k}={v}", man="mount(2)") for k, v in FILESYSTEM
        )
        return (
            Call(name="fsopen", target="tmpfs", man="mount(2)"),
            *options,
            Call(name="fsconfig", target="tmpfs", detail="create", man="mount(2)"),
            Call(
                name="fsmount", target="tmpfs", detail="MOUNT_ATTR_NOSUID|MOUNT_ATTR_NOEXEC", man="mount(2)"
            ),
            *(call for number, node in enumerate(self.nodes) for call in self._calls(number, node)),
        )

    def _calls(self, number: int, node: Node) -> tuple[Call, ...]:
        mode = f"of {node.path}" if node.mode is None else f"{node.mode:04o}"
        name = f"/{number}"
        return (
            Call(name="mknodat", target=name, detail=f"of {node.path}", man="mknod(2)"),
            Call(name="fchownat", target=name, detail=f"{self.owner}:{self.owner}", man="chown(2)"),
            Call(name="fchmodat", target=name, detail=mode, man="chmod(2)"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceNodes:
    """Mount the nodes of the tree number `slot` at `targets` in /dev, in order."""

    slot: int
    targets: tuple[str, ...]
    side: Side = Side.INSIDE

    @property
    def summary(self) -> str:
        """What it achieves."""
        return "put device nodes at " + " ".join(self.targets)

    @property
    def calls(self) -> tuple[Call, ...]:
        """The tree in the staging folder, then a clone of each node in it."""
        return (
            Call(name="mkdir", target=NODES, man="mkdir(2)"),
            Call(name="move_mount", target=NODES, detail=f"tree {self.slot}", man="mount(2)"),
            *(call for number, target in enumerate(self.targets) for call in self._calls(number, target)),
        )

    def _calls(self, number: int, target: str) -> tuple[Call, ...]:
        name = f"{NODES}/{number}"
        return (
            *made(target, kind="openat"),
            Call(name="open_tree", target=name, detail="OPEN_TREE_CLONE", man="mount_namespaces(7)"),
            Call(name="move_mount", target=target, detail="bind", man="mount(2)"),
        )
