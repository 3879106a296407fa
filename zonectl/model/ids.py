"""User and group ids: ranges that belong to zones, and the maps that the kernel takes."""

from __future__ import annotations

from dataclasses import dataclass

ZONE_IDS = 65536
"""How many ids a zone of its own ids has."""

MAX_ID = 2**32 - 2
"""The highest user or group id; 2**32 - 1 is the kernel's "no id" (credentials(7))."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdRange:
    """`count` ids of the host from `first` on, which a zone sees as 0, 1, and so on."""

    first: int
    count: int = ZONE_IDS

    def __post_init__(self) -> None:
        """Refuse a range that includes 0 or leaves the id space."""
        if not 0 < self.first <= self.first + self.count - 1 <= MAX_ID or self.count < 1:
            msg = f"not a range of ids: {self.first}+{self.count}"
            raise ValueError(msg)

    def overlaps(self, other: IdRange) -> bool:
        """Whether an id is in both ranges."""
        return self.first < other.first + other.count and other.first < self.first + self.count

    def host_id(self, inner: int) -> int:
        """The host's id of the zone's id `inner`.

        Raises:
            ValueError: the zone has no such id.

        """
        if not 0 <= inner < self.count:
            msg = f"the zone has no id {inner}"
            raise ValueError(msg)
        return self.first + inner


def parse_id(text: str) -> int:
    """A user or group id, strictly: decimal digits, no sign, at most 4294967294.

    Loose parsing gave root to zones elsewhere (CVE-2024-40635: an overflow that wrapped to 0).

    Raises:
        ValueError: not such an id.

    """
    if not text.isascii() or not text.isdecimal() or len(text) > len(str(MAX_ID)) or int(text) > MAX_ID:
        msg = f"not an id between 0 and {MAX_ID}: {text!r}"
        raise ValueError(msg)
    return int(text)
