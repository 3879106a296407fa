"""The root of a virtual machine of the benchmark: an archive in memory with the probe as its first process.

Source: initramfs buffer format, Documentation/driver-api/early-userspace/buffer-format.rst ("newc").
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from typing import Final

INIT: Final = "init"

_MAGIC: Final = b"070701"
_TRAILER: Final = "TRAILER!!!"
_ALIGNMENT: Final = 4
_CONSOLE: Final = (5, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """A file of the archive; `device` is major and minor of a node."""

    name: str
    mode: int
    content: bytes = b""
    device: tuple[int, int] = (0, 0)


def archive(probe: str) -> bytes:
    """The archive with the program `probe` as /init, and the folders that it mounts on.

    Raises:
        OSError: the program cannot be read.

    """
    with open(probe, "rb") as file:
        program = file.read()
    folders = [_Entry(name=name, mode=stat.S_IFDIR | 0o755) for name in ("dev", "proc", "tmp")]
    entries = [
        *folders,
        # Its streams, before it has mounted /dev.
        _Entry(name="dev/console", mode=stat.S_IFCHR | 0o600, device=_CONSOLE),
        _Entry(name=INIT, mode=stat.S_IFREG | 0o755, content=program),
        _Entry(name=_TRAILER, mode=0),
    ]
    return b"".join(_packed(number, entry) for number, entry in enumerate(entries, start=1))


def _packed(number: int, entry: _Entry) -> bytes:
    name = entry.name.encode() + b"\0"
    fields = (number, entry.mode, 0, 0, 1, 0, len(entry.content), 0, 0, *entry.device, len(name), 0)
    head = _MAGIC + b"".join(b"%08X" % field for field in fields) + name
    return _aligned(head) + _aligned(entry.content)


def _aligned(data: bytes) -> bytes:
    return data + bytes(-len(data) % _ALIGNMENT)
