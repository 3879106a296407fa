"""Resource limits of a process (getrlimit(2)), in the numbers of `model.limits`."""

from __future__ import annotations

import errno
import resource
from typing import TYPE_CHECKING

from zonectl.errors import HostLacks, SyscallError
from zonectl.model.limits import UNLIMITED, Limit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zonectl.security.steps import Ceiling


def current(number: int) -> Limit:
    """This process's limit of that number."""
    soft, hard = resource.getrlimit(number)
    return Limit(UNLIMITED if soft < 0 else soft, UNLIMITED if hard < 0 else hard)


def change(number: int, limit: Limit, *, pid: int = 0) -> None:
    """Set a limit of the process `pid`, 0 for this one; prlimit(2).

    Raises:
        SyscallError: EPERM, above the hard limit there is, without CAP_SYS_RESOURCE.

    """
    soft, hard = (-1 if part == UNLIMITED else part for part in limit)
    try:
        resource.prlimit(pid, number, (soft, hard))
    except ValueError as error:  # what Python makes of EINVAL, and of an EPERM
        raise SyscallError("prlimit64", errno.EINVAL, f"limit {number}") from error
    except OSError as error:
        raise SyscallError("prlimit64", error.errno or 0, f"limit {number}") from error


def hold(ceilings: Iterable[Ceiling]) -> None:
    """Take these limits, those that are not declared as far as the hard limits of this process allow.

    As `hold_ceilings` of native/restrictions.c, for the arm of the benchmark that runs on the host.

    Raises:
        HostLacks: one that the zone file declares is above the hard limit.

    """
    for ceiling in ceilings:
        now = current(ceiling.number)
        soft, hard = ceiling.limit
        wanted = ceiling.limit if ceiling.declared else Limit(min(soft, now.hard), min(hard, now.hard))
        if wanted == now:
            continue
        try:
            change(ceiling.number, wanted)
        except SyscallError as error:
            msg = f"limits.{ceiling.name}: the hard limit is {shown(now.hard)}"
            raise HostLacks(msg) from error


def shown(number: int) -> str:
    """A limit as a user reads it."""
    return "unlimited" if number == UNLIMITED else str(number)
