"""Archives for tests, hostile ones among them."""

from __future__ import annotations

import io
import os
import tarfile
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Item:
    """An entry; owned by whoever runs the test unless it says otherwise."""

    name: str
    type: bytes = tarfile.REGTYPE
    content: bytes = b""
    link: str = ""
    mode: int = 0o644
    uid: int = field(default_factory=os.geteuid)
    gid: int = field(default_factory=os.getegid)
    mtime: float = 0
    pax: dict[str, str] = field(default_factory=dict)


def file(name: str, content: bytes = b"content", mode: int = 0o644) -> Item:
    return Item(name=name, content=content, mode=mode)


def folder(name: str, mode: int = 0o755) -> Item:
    return Item(name=name, type=tarfile.DIRTYPE, mode=mode)


def symlink(name: str, target: str) -> Item:
    return Item(name=name, type=tarfile.SYMTYPE, link=target)


def hardlink(name: str, target: str) -> Item:
    return Item(name=name, type=tarfile.LNKTYPE, link=target)


def pack(*items: Item) -> bytes:
    """The archive, in pax format."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, errors="surrogateescape") as tar:
        for item in items:
            info = tarfile.TarInfo(item.name)
            info.type, info.linkname, info.mode, info.mtime = item.type, item.link, item.mode, item.mtime
            info.uid, info.gid, info.size, info.pax_headers = item.uid, item.gid, len(item.content), item.pax
            info.devmajor, info.devminor = 1, 3
            tar.addfile(info, io.BytesIO(item.content))
    return buffer.getvalue()
