"""Joining the namespaces of a running zone.

In this order, each for a reason: not dumpable before anything (a zone's process must not trace who comes in,
CVE-2016-9962); the user namespace with all others in one call, by a pidfd, so that nothing can change between two of
them; the zone's ids before the pid namespace; and the pid namespace last, for it holds only for children.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from zonectl.errors import SyscallError
from zonectl.kernel import attributes, proc, process

if TYPE_CHECKING:
    from collections.abc import Collection

_KINDS = {
    "user": process.CLONE_NEWUSER,
    "mnt": process.CLONE_NEWNS,
    "cgroup": process.CLONE_NEWCGROUP,
    "net": process.CLONE_NEWNET,
    "uts": process.CLONE_NEWUTS,
    "ipc": process.CLONE_NEWIPC,
    "time": process.CLONE_NEWTIME,
}


def enter(pidfd: int, *, pid: int) -> None:
    """Join every namespace in which the process of `pidfd`, whose pid is `pid`, differs from this process.

    The next child is in the zone's pid namespace. This process must be single-threaded, and should do nothing but
    make that child.

    Raises:
        SyscallError: a namespace cannot be joined, or the process has ended.

    """
    join(pidfd, pid=pid, kinds=_KINDS)
    process.setns(pidfd, process.CLONE_NEWPID)


def join(pidfd: int, *, pid: int, kinds: Collection[str]) -> None:
    """Join those of the namespaces `kinds` in which the process of `pidfd` differs from this one, as root of them.

    Without its pid namespace none of the zone's processes can see this one. This process must be single-threaded.

    Raises:
        SyscallError: a namespace cannot be joined, or the process has ended.

    """
    process.set_dumpable(False)
    ours, theirs = proc.namespace_ids("self"), proc.namespace_ids(pid)
    differing = {kind for kind in kinds if kind in theirs and theirs[kind] != ours.get(kind)}
    flags = 0
    for kind in differing:
        flags |= _KINDS[kind]
    # setns with a pidfd verifies that the process is still the one that was opened; a reused pid cannot mislead it.
    process.setns(pidfd, flags)
    if "user" in differing:
        become_root()
        process.set_dumpable(False)


def become_root() -> None:
    """Take ids 0 of the user namespace that this process is in, and no supplementary group."""
    attributes.setgroups(())
    attributes.setresgid(0, 0, 0)
    attributes.setresuid(0, 0, 0)


def change_root(path: str) -> None:
    """Have the folder `path` as root and as working directory.

    Raises:
        SyscallError: it is not there, or this process lacks CAP_SYS_CHROOT.

    """
    try:
        os.chroot(path)
        os.chdir("/")
    except OSError as error:
        raise SyscallError("chroot", error.errno or 0, path) from error
