"""Archives in cpio's "newc" format, which the kernel unpacks as its first root.

Source: Documentation/driver-api/early-userspace/buffer-format.rst.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

MAGIC: Final = b"070701"
END: Final = "TRAILER!!!"
ALIGNMENT: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file or folder of the archive; its path is relative, its parent must come before it."""

    path: str
    mode: int
    data: bytes = b""


def folder(path: str) -> Entry:
    """A folder as root has them."""
    return Entry(path=path, mode=stat.S_IFDIR | 0o755)


def file(path: str, data: bytes, *, mode: int = 0o644) -> Entry:
    """A regular file."""
    return Entry(path=path, mode=stat.S_IFREG | mode, data=data)


def archive(entries: Iterable[Entry]) -> bytes:
    """The bytes of an archive, closed by its trailer."""
    packed = bytearray()
    for inode, entry in enumerate([*entries, Entry(path=END, mode=0)], start=1):
        packed += _header(inode, entry)
        packed += bytes(-len(packed) % ALIGNMENT)
        packed += entry.data
        packed += bytes(-len(packed) % ALIGNMENT)
    return bytes(packed)


def _header(inode: int, entry: Entry) -> bytes:
    name = entry.path.encode() + b"\0"
    uid = gid = mtime = device_major = device_minor = node_major = node_minor = checksum = 0
    links = 1
    owner = (inode, entry.mode, uid, gid, links, mtime, len(entry.data))
    device = (device_major, device_minor, node_major, node_minor)
    numbers = (*owner, *device, len(name), checksum)
    return MAGIC + b"".join(b"%08X" % number for number in numbers) + name
