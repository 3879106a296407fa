"""Trials of mounts: overlay, id maps, pivot_root, paths that stay in a root, terminals."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from zonectl.kernel import idmap, mount, path, process, pty, trial
from zonectl.kernel.probe_namespaces import FIRST_ID
from zonectl.model.ids import IdRange

if TYPE_CHECKING:
    from zonectl.model.facts import HostFacts, Probe

SCRATCH: Final = "/tmp"  # noqa: S108 - only a place to mount on, in a mount namespace of the trial's own


def probes(facts: HostFacts, *, root: str) -> tuple[Probe, ...]:
    """What a zone's root is made of; `root` is where the instance keeps its zones."""
    return (
        trial.in_child(_overlay).probe(
            "overlay", needed=True, remedy="modprobe overlay; a kernel with CONFIG_OVERLAY_FS, 5.11 or later"
        ),
        _idmapped(facts, existing(root)),
        trial.in_child(_pivot_root).probe(
            "pivot_root", needed=True, remedy="do not start zonectl from an initramfs"
        ),
        trial.here(_openat2).probe(
            "openat2", needed=True, remedy="Linux 5.6; a seccomp filter that knows the call"
        ),
        trial.in_child(_terminal).probe("terminals", needed=True, remedy="a kernel with CONFIG_UNIX98_PTYS"),
    )


def existing(folder: str) -> str:
    """The nearest folder at or above `folder` that is there."""
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return folder


def _private_tmpfs() -> None:
    """Put an empty file system on SCRATCH in new namespaces, where we are root, and go there."""
    idmap.become_root_of_new_namespaces(process.CLONE_NEWNS)
    mount.mount(None, "/", None, mount.MS_REC | mount.MS_PRIVATE)
    mount.mount("tmpfs", SCRATCH, "tmpfs", mount.MS_NOSUID | mount.MS_NODEV)
    os.chdir(SCRATCH)


def _overlay() -> str:
    _private_tmpfs()
    for folder in ("lower", "upper", "work", "merged"):
        os.mkdir(folder)
    mount.mount("overlay", "merged", "overlay", 0, "lowerdir=lower,upperdir=upper,workdir=work,userxattr")
    os.mkdir("merged/made")
    return "works in a user namespace"


def _pivot_root() -> str:
    _private_tmpfs()
    mount.pivot_root(".", ".")
    mount.umount(".", mount.MNT_DETACH)
    return "works"


def _openat2() -> str:
    top = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.close(path.open_in_root(top, "../etc", os.O_PATH))
    finally:
        os.close(top)
    return "works"


def _terminal() -> str:
    _private_tmpfs()
    mount.mount("devpts", SCRATCH, "devpts", 0, "newinstance,ptmxmode=0666")
    devpts = os.open(SCRATCH, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    master, slave = pty.open_terminal(devpts)
    for fd in (devpts, master, slave):
        os.close(fd)
    return "works in a devpts of its own"


def _idmapped(facts: HostFacts, folder: str) -> Probe:
    """Whether the file system that zones are kept on can be shown with other owners; mount_setattr(2)."""

    def attempt() -> str:
        scratch = os.path.join(folder, f"zonectl-probe-{os.getpid()}")
        os.mkdir(scratch, 0o700)
        try:
            map_mount(scratch, IdRange(first=FIRST_ID))
        finally:
            os.rmdir(scratch)
        return f"works on {folder}"

    remedy = f"keep zones (--root) on ext4, xfs, btrfs or tmpfs, not on the file system of {folder}"
    if facts.euid != 0:
        remedy = "run zonectl as root"
    return trial.in_child(attempt).probe("idmapped mounts", needed=True, remedy=remedy)


def map_mount(folder: str, ids: IdRange) -> None:
    """Make a detached, id-mapped mount of `folder`, and forget it."""
    namespace = idmap.user_namespace(ids)
    try:
        tree = mount.open_tree(mount.AT_FDCWD, folder, mount.OPEN_TREE_CLONE)
        try:
            mount.mount_setattr(tree, userns_fd=namespace)
        finally:
            os.close(tree)
    finally:
        os.close(namespace)
