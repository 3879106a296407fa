"""The filters that a zone's processes get."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from zonectl.security.seccomp import builtin
from zonectl.security.seccomp.cache import filter_of

if TYPE_CHECKING:
    from zonectl.model.seccomp import Filter


@cache
def named(name: str, *, nesting: bool, folder: str | None = None) -> Filter:
    """The filter of a profile of `builtin`, kept in `folder` if one is given, and by this process.

    Raises:
        HostLacks: zonectl has no table of this host's architecture.

    """
    profile = builtin.named(name, nesting=nesting)
    return filter_of(f"{profile.name} {profile.digest}", lambda: profile, folder=folder)
