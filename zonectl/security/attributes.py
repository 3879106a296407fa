"""Applying a zone's restrictions to this process: the one function that init and each exec go through."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from zonectl.errors import SyscallError, ZonectlError
from zonectl.kernel import attributes, ranking
from zonectl.model.capabilities import SYS_ADMIN
from zonectl.model.config import HOME
from zonectl.security import capabilities, ceilings
from zonectl.security.seccomp import filters

if TYPE_CHECKING:
    from collections.abc import Callable

    from zonectl.security.accounts import Account
    from zonectl.security.steps import Restrict


def apply(step: Restrict, account: Account, *, prepare: Callable[[], None]) -> None:
    """Take every restriction of `step` and become `account`. What cannot be applied stops the process.

    `prepare` does what else has to be done before the execve, which must be the caller's next call: a filter may refuse
    every other.

    The order, and its reasons:

    1. umask: asks for nothing.
    2. The bounding set, while CAP_SETPCAP is there; securebits.
    3. Groups, then the group id, then the user id: each needs a capability that the next step may take. A change of
       ids lets fs.suid_dumpable decide who may trace this process, with a worker's memory in it: nobody, until the
       execve (CVE-2016-9962).
    4. The capabilities of that user: after the ids, whose change would clear them.
    5. The working directory, as the user, so that nothing is shown that the user may not see; and verified, so that
       no directory of the host's can be it (CVE-2024-21626).
    6. Resource limits, which would be in the way of all that is before.
    7. no_new_privs. Without it, CAP_SYS_ADMIN is kept until the execve, which takes it: a filter of system calls can
       be loaded by its holder alone (seccomp(2)).
    8. Whatever `prepare` does, as the user, with every call still allowed; then the filter.

    Raises:
        SyscallError: a restriction cannot be applied.
        ZonectlError: the working directory is not in the zone.

    """
    os.umask(step.umask)
    capabilities.bound(step.capabilities)
    attributes.setgroups(account.groups)
    attributes.setresgid(account.gid, account.gid, account.gid)
    attributes.setresuid(account.uid, account.uid, account.uid)
    attributes.set_dumpable(False)
    _take_capabilities(step, account)
    _change_directory(step.workdir, account)
    ceilings.hold(step.limits)
    if step.no_new_privs:
        attributes.set_no_new_privs()
    prepare()
    if step.seccomp is not None:
        filters.load(step.seccomp)


def begin_keyring() -> None:
    """Leave the session keyring of zonectl's caller behind for a new one. See `steps.JoinKeyring` for when.

    Raises:
        SyscallError: there is no room for a key.

    """
    try:
        ranking.join_session_keyring()
    except SyscallError as error:
        if error.errno != errno.ENOSYS:  # a kernel without keys has nothing to leave
            raise


def _take_capabilities(step: Restrict, account: Account) -> None:
    """Root has all that the zone's processes may have; anybody else what the zone file grants by name."""
    held, ambient = (step.ambient, step.ambient) if account.uid else (step.capabilities, 0)
    capabilities.hold(held, ambient=ambient, until_execve=0 if step.no_new_privs else SYS_ADMIN)


def _change_directory(workdir: str, account: Account) -> None:
    """Enter the folder; a home that is not there, or is not the user's to enter, is `/`, as for login(1)."""
    try:
        _enter(account.home if workdir == HOME else workdir)
    except SyscallError:
        if workdir != HOME:
            raise
        _enter("/")


def _enter(workdir: str) -> None:
    try:
        os.chdir(workdir)
        here = os.getcwd()
    except OSError as error:
        raise SyscallError("chdir", error.errno or 0, workdir) from error
    if not here.startswith("/"):
        # The kernel answers "(unreachable)/…" for a directory outside of the root.
        msg = f"the working directory {workdir} is not in the zone"
        raise ZonectlError(msg)
