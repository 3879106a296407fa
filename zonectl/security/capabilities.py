"""Giving this process the capabilities of a zone's (capabilities(7)), exactly, for root and for others.

What a program has after execve(2) follows from three sets: root has the bounding set, anybody else the ambient set, and
the inheritable set adds to either what an unwary file grants (CVE-2022-24769), so that it holds the ambient set alone.
"""

from __future__ import annotations

import prctl

from zonectl.errors import SyscallError
from zonectl.kernel import attributes
from zonectl.model.capabilities import ALL, NAMES, bits


def bound(kept: int) -> None:
    """Let no program that this process executes have a capability outside of the set `kept`.

    Securebits go back to the kernel's own: without NOROOT, so that root of the zone is root, and set-user-ID programs
    work; KEEP_CAPS, which every execve clears, holds the permitted set over the change of ids that follows.

    Raises:
        SyscallError: a capability cannot be dropped: this process lacks CAP_SETPCAP.

    """
    try:
        # Dropping what is not there is no error, and costs less than asking first.
        for bit in bits(ALL & ~kept):
            prctl.capbset_drop(bit)
    except OSError as error:
        raise SyscallError("prctl", error.errno or 0, "PR_CAPBSET_DROP") from error
    # Those that the kernel has and zonectl has no name for.
    attributes.drop_bounding_from(len(NAMES))
    attributes.set_securebits(attributes.SECBIT_KEEP_CAPS)


def hold(held: int, *, ambient: int = 0, until_execve: int = 0) -> None:
    """Have the set `held` now, and `ambient` (part of it) in what this process executes, whoever it is.

    Those in `until_execve` are there as well until this process executes a program, when the effective and permitted
    sets are made anew from the bounding and the ambient set.

    Raises:
        SyscallError: EPERM, this process does not have one of them.

    """
    attributes.ambient_clear()
    attributes.capset(held | until_execve, held | until_execve, ambient)
    for bit in bits(ambient):
        attributes.ambient_raise(bit)
