"""User namespaces that exist for their id maps: what mount_setattr(2) and probes need."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from zonectl.kernel.libc import failed
from zonectl.kernel.process import CLONE_NEWUSER, clone, kill_and_reap, unshare

if TYPE_CHECKING:
    from zonectl.model.ids import IdRange


def user_namespace(ids: IdRange) -> int:
    """A descriptor, owned by the caller, of a new user namespace where `ids` are 0, 1, …; user_namespaces(7).

    Raises:
        SyscallError: clone3; or a map was refused.

    """
    pid, pidfd = clone(CLONE_NEWUSER)
    if pid == 0:
        _wait_for_death()
    try:
        write_maps(pid, f"0 {ids.first} {ids.count}")
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        kill_and_reap(pidfd)
        os.close(pidfd)


def become_root_of_new_namespaces(flags: int) -> None:
    """Leave for a new user namespace, as its root, and for the others that `flags` name; needs no privileges."""
    uid, gid = os.geteuid(), os.getegid()
    unshare(CLONE_NEWUSER | flags)
    write_maps("self", f"0 {uid} 1", f"0 {gid} 1")


def write_maps(pid: int | str, uid_map: str, gid_map: str | None = None) -> None:
    """Give the user namespace of `pid` its maps, once; without a `gid_map` groups are mapped as users are.

    With one, setgroups(2) is given up first, as the kernel demands of those without CAP_SETGID (CVE-2014-8989).
    """
    if gid_map is not None:
        _write(f"/proc/{pid}/setgroups", "deny")
    _write(f"/proc/{pid}/gid_map", gid_map or uid_map)
    _write(f"/proc/{pid}/uid_map", uid_map)


def _write(path: str, text: str) -> None:
    try:
        with open(path, "wb", buffering=0) as file:
            file.write(text.encode())
    except OSError as error:
        raise failed("write", error, path) from error


def _wait_for_death() -> None:
    while True:
        signal.pause()
