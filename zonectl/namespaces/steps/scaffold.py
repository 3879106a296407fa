"""Steps that make the zone's mounts hold against its own root.

The zone's root has every capability over a mount namespace of its user namespace's, and could unmount a mask there,
or remount a file system without its flags. The kernel locks mounts and their flags where a mount namespace is copied
into one of another user namespace (mount_namespaces(7)). So init puts the root together on a scaffold, a mount
namespace of a short-lived user namespace below the zone's, and then takes a copy of it as the zone's own.
"""

from __future__ import annotations

from dataclasses import dataclass

from zonectl.model.steps import Call, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class EnterScaffold:
    """Enter a mount namespace that belongs to another user namespace than the zone's, below it.

    A process that only waits is born in both, lends its mount namespace, and is killed. The mounts are copies of the
    host's that receive from them and send nothing back, since the user namespace is another (mount_namespaces(7)).
    """

    side: Side = Side.INSIDE

    @property
    def summary(self) -> str:
        """What it achieves."""
        return "enter a mount namespace to put the root together in"

    @property
    def calls(self) -> tuple[Call, ...]:
        """The process that waits, and its mount namespace."""
        made = "CLONE_VM|CLONE_PIDFD|CLONE_NEWUSER|CLONE_NEWNS|SIGCHLD"
        return (
            Call(name="clone", target="a process that waits", detail=made, man="clone(2)"),
            Call(name="setns", target="init", detail="CLONE_NEWNS", man="setns(2)"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LockMounts:
    """Copy the mounts into a namespace of the zone's own, in which they and their flags are locked."""

    side: Side = Side.INSIDE

    @property
    def summary(self) -> str:
        """What it achieves."""
        return "lock the mounts and their flags"

    @property
    def calls(self) -> tuple[Call, ...]:
        """One unshare."""
        return (Call(name="unshare", target="init", detail="CLONE_NEWNS", man="mount_namespaces(7)"),)
