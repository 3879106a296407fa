"""The step that makes a zone immutable but for the folders that its profile leaves writable."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from zonectl.model.profiles import KEPT, WRITABLE, RootProfile
from zonectl.model.steps import Call, Side

WHEN = "when the root has it"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectRoot:
    """Make the root read-only, save the folders `writable`, in which `kept` are read-only again.

    Folders are those that the root has, reached without a link: where a link stands instead, nothing is done for it.
    What lies above a kept folder becomes a mount too, since a folder that is one cannot be renamed.
    """

    writable: tuple[str, ...]
    kept: tuple[str, ...]
    side: Side = Side.INSIDE

    @property
    def summary(self) -> str:
        """What it achieves."""
        return f"make the root read-only but for {' '.join(self.writable)}"

    def above(self, kept: tuple[str, ...]) -> tuple[str, ...]:
        """The folders between the writable ones and those of `kept`, each once, upper ones first."""
        found: set[str] = set()
        for path in kept:
            folder = posixpath.dirname(path)
            while folder not in self.writable and folder != "/":
                found.add(folder)
                folder = posixpath.dirname(folder)
        return tuple(sorted(found))

    @property
    def calls(self) -> tuple[Call, ...]:
        """A bind mount of each folder on itself, and the root's own attribute in the end."""
        return (
            *(call for path in self.writable for call in _bind(path)),
            *(call for path in self.above(self.kept) for call in _bind(path)),
            *(call for path in self.kept for call in _bind(path, readonly=True)),
            Call(name="mount_setattr", target="/", detail="MOUNT_ATTR_RDONLY", man="mount_setattr(2)"),
        )


def _bind(path: str, *, readonly: bool = False) -> tuple[Call, ...]:
    made = Call(name="open_tree", target=path, detail="OPEN_TREE_CLONE", man="mount_namespaces(7)", when=WHEN)
    flags = "MOUNT_ATTR_RDONLY"
    sealed = Call(name="mount_setattr", target="bind", detail=flags, man="mount_setattr(2)", when=WHEN)
    moved = Call(name="move_mount", target=path, detail="bind", man="mount(2)", when=WHEN)
    return (made, *((sealed,) if readonly else ()), moved)


def protect_step(profile: RootProfile) -> ProtectRoot | None:
    """The step for `profile`; None where all of the root is writable, or nothing (`readonly` sees to that)."""
    writable = WRITABLE[profile]
    if not writable:
        return None
    kept = tuple(path for path in KEPT if path.startswith(tuple(f"{folder}/" for folder in writable)))
    return ProtectRoot(writable=writable, kept=kept)
