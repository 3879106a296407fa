"""Applying a zone's restrictions to this process: the one function that init and each exec go through."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from zonectl.errors import SyscallError, ZonectlError
from zonectl.kernel import attributes
from zonectl.security import capabilities

if TYPE_CHECKING:
    from zonectl.security.accounts import Account
    from zonectl.security.steps import Restrict


def apply(step: Restrict, account: Account) -> None:
    """Take every restriction of `step` and become `account`. What cannot be applied stops the process.

    The order matters: the bounding set needs CAP_SETPCAP, groups need CAP_SETGID, both lost with uid 0; the working
    directory is entered as the user, so that nothing is shown that the user may not see; and verified, so that no
    directory of the host's can be it (CVE-2024-21626).

    Raises:
        SyscallError: a restriction cannot be applied.
        ZonectlError: the working directory is not in the zone.

    """
    os.umask(step.umask)
    if not step.own_ids:
        _bound()
    attributes.setgroups(account.groups)
    attributes.setresgid(account.gid, account.gid, account.gid)
    attributes.setresuid(account.uid, account.uid, account.uid)
    _change_directory(step.workdir)
    if step.no_new_privs:
        attributes.set_no_new_privs()


def _bound() -> None:
    try:
        capabilities.bound(capabilities.SHARED_IDS)
    except OSError as error:
        raise SyscallError("prctl", error.errno or 0, "PR_CAPBSET_DROP") from error


def _change_directory(workdir: str) -> None:
    try:
        os.chdir(workdir)
        here = os.getcwd()
    except OSError as error:
        raise SyscallError("chdir", error.errno or 0, workdir) from error
    if not here.startswith("/"):
        # The kernel answers "(unreachable)/…" for a directory outside of the root.
        msg = f"the working directory {workdir} is not in the zone"
        raise ZonectlError(msg)
