"""An instance of zonectl: a pair of state roots, and the kernel names that derive from it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from zonectl.model.names import ZONE_ID

DEFAULT_ROOT = "/var/lib/zonectl"
DEFAULT_RUN = "/run/zonectl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """Where an instance keeps its state: `root` outlives a boot, `run` does not. Both absolute and normalised."""

    root: str = DEFAULT_ROOT
    run: str = DEFAULT_RUN

    @property
    def id(self) -> str:
        """Six hex digits of the root path's SHA-256; empty for the default instance."""
        if self.root == DEFAULT_ROOT:
            return ""
        return hashlib.sha256(self.root.encode()).hexdigest()[:6]

    @property
    def cgroup(self) -> str:
        """The instance's group, relative to the cgroup2 mount (or to the subtree delegated to it)."""
        return f"zonectl-{self.id}" if self.id else "zonectl"

    @property
    def table(self) -> str:
        """The name of the instance's nft table, of family inet."""
        return f"zonectl_{self.id}" if self.id else "zonectl"


def link_name(zone_id: str, letter: str = "a") -> str:
    """The name of a zone's link on the host: at most 15 bytes (IFNAMSIZ less the NUL)."""
    return f"z{zone_id}{letter}"


def link_zone(link: str) -> str | None:
    """The id of the zone that `link_name` made the name `link` from; None for another link."""
    zone_id = link[1:-1]
    return zone_id if ZONE_ID.match(zone_id) and link == link_name(zone_id, link[-1]) else None


def zone_cgroup(instance: Instance, zone_id: str) -> str:
    """The group that a zone's limits stand on; its processes live in `payload` below."""
    return f"{instance.cgroup}/{zone_id}"
