"""Which devices a zone may open: the nodes that every zone has, and those that its file adds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

NODES: Final = {
    "null": (1, 3),
    "zero": (1, 5),
    "full": (1, 7),
    "random": (1, 8),
    "urandom": (1, 9),
    "tty": (5, 0),
}
"""The nodes in every zone's /dev, none of which reaches the host's hardware: (major, minor).

Documentation/admin-guide/devices.txt of the kernel.
"""

READ: Final = "r"
WRITE: Final = "w"
MKNOD: Final = "m"
ACCESS: Final = READ + WRITE + MKNOD


@dataclass(frozen=True, slots=True)
class DeviceRule:
    """Allows `access` ("rw") to the character ("c") or block ("b") devices of `major`, of all minors where None."""

    kind: str
    major: int
    minor: int | None
    access: str

    @property
    def text(self) -> str:
        """As the kernel's version 1 spelled it: "c 1:3 rwm"."""
        minor = "*" if self.minor is None else self.minor
        return f"{self.kind} {self.major}:{minor} {self.access}"


USUAL: Final = (
    *(DeviceRule("c", major, minor, "rw") for major, minor in NODES.values()),
    DeviceRule("c", 5, 2, "rw"),  # /dev/ptmx
    DeviceRule("c", 136, None, "rw"),  # /dev/pts
)
"""What every zone may open: its nodes, and terminals of its own devpts."""
