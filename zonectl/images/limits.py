"""How much an archive or folder may bring: an image is somebody else's, the disk and the time are ours."""

from __future__ import annotations

from dataclasses import dataclass

GIB = 2**30

MAX_DEPTH = 128
"""How deep folders may nest: a walk holds four descriptors a level, and 1024 are the usual limit."""

MAX_NAME_BYTES = 255
"""NAME_MAX of every file system that a zone can stand on."""

MAX_LINK_BYTES = 4095
"""PATH_MAX less the NUL: what symlink(2) takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one import; `stream_bytes` is that of the archive when it is decompressed, padding and all."""

    entries: int = 2_000_000
    file_bytes: int = 64 * GIB
    total_bytes: int = 128 * GIB
    stream_bytes: int = 160 * GIB
    memory_bytes: int = GIB
    time_s: float = 3600.0
