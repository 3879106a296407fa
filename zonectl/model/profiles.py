"""Immutable zones: which parts of a zone's root its own root may write to (after file-mac-profile of Solaris zones)."""

from __future__ import annotations

from enum import Enum
from typing import Final


class RootProfile(Enum):
    """What of the root stays as it was installed. `STRICT` all of it; `NONE` nothing."""

    NONE = "none"
    FIXED = "fixed"
    FLEXIBLE = "flexible"
    STRICT = "strict"


_DATA: Final = ("/home", "/run", "/tmp", "/var")  # noqa: S108 - folders of the zone's
_SETTINGS: Final = ("/etc", "/root")

WRITABLE: Final = {
    RootProfile.NONE: (),
    RootProfile.FIXED: _DATA,
    RootProfile.FLEXIBLE: tuple(sorted((*_DATA, *_SETTINGS))),
    RootProfile.STRICT: (),
}
"""The folders that stay writable where the rest of the root does not; those of them that the root has."""

KEPT: Final = (
    "/var/lib/dpkg",
    "/var/lib/pacman",
    "/var/lib/rpm",
    "/var/spool/cron",
)
"""In them, what says how the system is made up or what it runs: never writable; those that the root has.

The databases of package managers (apk's is outside of /var), and the jobs of cron(8).
"""
