"""From what a zone file says to the filter that its processes get."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from zonectl.kernel import seccomp
from zonectl.model.seccomp import Filter
from zonectl.security.seccomp import architectures, builtin
from zonectl.security.seccomp import cache as programs

if TYPE_CHECKING:
    from zonectl.security.seccomp.profile import Profile


@cache
def named(name: str, *, nesting: bool, folder: str | None = None) -> Filter:
    """The filter of a profile of `builtin`, kept in `folder` if one is given.

    Raises:
        HostLacks: zonectl has no table of this host's architecture.

    """
    return of_profile(builtin.named(name, nesting=nesting), folder=folder)


def of_profile(profile: Profile, *, folder: str | None = None) -> Filter:
    """The filter of any profile.

    Raises:
        HostLacks: zonectl has no table of this host's architecture.
        TooLong: the profile is too long for the kernel.

    """
    return Filter(
        name=profile.name,
        digest=profile.digest,
        program=programs.program(profile, architectures.native(), folder),
        no_new_privs=profile.no_new_privs,
    )


def load(found: Filter) -> None:
    """Restrict this process and all that it will start, for good.

    Raises:
        SyscallError: the kernel does not load it.

    """
    seccomp.set_mode_filter(found.program)
