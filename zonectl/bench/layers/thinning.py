"""A plan with parts taken away that no zone file can waive. Pure; for the rungs of the ladder alone.

Each function leaves a plan alone that does not have the part.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from zonectl.namespaces.steps.contents import MountFilesystem
from zonectl.namespaces.steps.mounts import CloneTree, MakePrivate
from zonectl.namespaces.steps.process import ChangeRoot, CloneInit
from zonectl.namespaces.steps.scaffold import EnterScaffold, LockMounts
from zonectl.security.steps import JoinKeyring

if TYPE_CHECKING:
    from zonectl.model.steps import Step
    from zonectl.planning import ZonePlan


def without_namespace(plan: ZonePlan, kind: str) -> ZonePlan:
    """The host's namespace of that kind ("pid", "cgroup")."""
    kinds = tuple(own for own in plan.clone.namespaces if own != kind)
    return replace(plan, clone=replace(plan.clone, namespaces=kinds))


def without_group_view(plan: ZonePlan) -> ZonePlan:
    """The host's control groups to look at: no cgroup namespace, in which alone a zone may mount cgroup2."""
    inside = tuple(step for step in plan.inside if not _is_mount_of(step, "cgroup2"))
    return replace(without_namespace(plan, "cgroup"), inside=inside)


def _is_mount_of(step: Step, fstype: str) -> bool:
    return isinstance(step, MountFilesystem) and step.fstype == fstype


def without_group(plan: ZonePlan) -> ZonePlan:
    """No control group of its own: born in that of whoever runs it."""
    return replace(plan, before=(), devices=(), clone=replace(plan.clone, cgroup=""), cgroup="")


def without_locked_mounts(plan: ZonePlan) -> ZonePlan:
    """A mount namespace from birth instead of a copy of the scaffold: its root could unmount what is in it."""
    if not any(isinstance(step, EnterScaffold) for step in plan.inside):
        return plan
    inside = tuple(
        MakePrivate() if isinstance(step, EnterScaffold) else step
        for step in plan.inside
        if not isinstance(step, LockMounts)
    )
    kinds = (*plan.clone.namespaces, "mnt")
    return replace(plan, clone=replace(plan.clone, namespaces=kinds), inside=inside)


def with_chroot_alone(plan: ZonePlan) -> ZonePlan:
    """Nothing but chroot(2) into the zone's own copy of its root: no namespace, no mount, no link, no filter.

    Of a start there is left what a process of the bare arm is given as well: its rank and limits, session and keyring.
    """
    kept = tuple(step for step in plan.inside if isinstance(step, JoinKeyring))
    return replace(
        without_group(plan),
        shared=(),
        clone=CloneInit(namespaces=(), cgroup=""),
        maps=(),
        trees=(),
        links=(),
        inside=(*kept, ChangeRoot(path=copy_of_root(plan))),
        restrict=replace(plan.restrict, seccomp=None),
    )


def rooted(plan: ZonePlan, path: str) -> ZonePlan:
    """The folder of the host `path` in the place of the zone's own copy of its root."""
    own = copy_of_root(plan)
    trees = (
        replace(tree, path=path) if isinstance(tree, CloneTree) and tree.path == own else tree
        for tree in plan.trees
    )
    return replace(plan, trees=tuple(trees))


def copy_of_root(plan: ZonePlan) -> str:
    """The folder of the host that is the zone's own copy of its root."""
    return plan.trees[0].path


def without_chroot(plan: ZonePlan) -> ZonePlan:
    """The host's root."""
    return replace(plan, inside=tuple(step for step in plan.inside if not isinstance(step, ChangeRoot)))
