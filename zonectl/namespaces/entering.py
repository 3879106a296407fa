"""Joining the namespaces of a running zone.

In this order, each for a reason: not dumpable before anything (a zone's process must not trace who comes in,
CVE-2016-9962); then all namespaces in one call, by a pidfd, so that nothing can change between two of them, the pid
namespace, which holds for children only, among them: once in the user namespace nobody may look at an init that has not
executed anything there yet; then the zone's ids.
"""

from __future__ import annotations

import errno
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
    _join(pidfd, differing(pid), process.CLONE_NEWPID)


def join(pidfd: int, *, pid: int, kinds: Collection[str]) -> None:
    """Join those of the namespaces `kinds` in which the process of `pidfd` differs from this one, as root of them.

    Without its pid namespace none of the zone's processes can see this one. This process must be single-threaded.

    Raises:
        SyscallError: a namespace cannot be joined, or the process has ended.

    """
    _join(pidfd, differing(pid, kinds=kinds))


def _join(pidfd: int, flags: int, besides: int = 0) -> None:
    process.set_dumpable(False)
    # setns with a pidfd verifies that the process is still the one that was opened; a reused pid cannot mislead it.
    process.setns(pidfd, flags | besides)
    if flags & process.CLONE_NEWUSER:
        become_root()
        process.set_dumpable(False)


def differing(pid: int, *, kinds: Collection[str] = tuple(_KINDS)) -> int:
    """In which of the namespaces `kinds` the process `pid` differs from this one, as flags CLONE_NEW*.

    Raises:
        SyscallError: one cannot be read, and nobody may take it for this process's own.

    """
    flags = 0
    for kind in kinds:
        ours, theirs = proc.namespace_id("self", kind), proc.namespace_id(pid, kind)
        if ours is not None and theirs is None:
            raise SyscallError("readlink", errno.ESRCH, f"/proc/{pid}/ns/{kind}")
        flags |= _KINDS[kind] if theirs != ours else 0
    return flags


def become_root() -> None:
    """Take ids 0 of the user namespace that this process is in, and no supplementary group."""
    attributes.setgroups(())
    attributes.setresgid(0, 0, 0)
    attributes.setresuid(0, 0, 0)
