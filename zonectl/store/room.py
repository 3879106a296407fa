"""Whether a disk has room for a zone's start, seen before anything is done that would fail half-way."""

from __future__ import annotations

import errno
import os
from typing import Final

from zonectl.errors import StoreError

LEAST_BYTES: Final = 256 * 1024
"""What must be free of a file system: a start writes some ten small files and folders, of a block or two each."""

LEAST_FILES: Final = 32
"""How many files and folders must find room in it."""


def require(*folders: str) -> None:
    """See that the file system of each folder is writable and not full. Nothing is written.

    Free is what df(1) calls available: of what ext4 keeps back, a part is not for root either, and the rest of no
    use to a zone. File systems that say nothing of their size (a tmpfs without a limit) or of how many files they
    hold (btrfs) are not judged by it; a quota is not seen.

    Raises:
        StoreError: one is mounted read-only or has too little room, or cannot be asked; statvfs(3).

    """
    for folder in folders:
        try:
            found = os.statvfs(folder)
        except OSError as error:
            raise StoreError(f"cannot use {folder}: {error.strerror}") from error
        if found.f_flag & os.ST_RDONLY:
            raise _refusal(folder, errno.EROFS, "the file system is mounted read-only")
        if found.f_blocks and found.f_bavail * found.f_frsize < LEAST_BYTES:
            raise _refusal(
                folder, errno.ENOSPC, f"free some space there: a start needs {LEAST_BYTES >> 10} KiB"
            )
        if found.f_files and found.f_ffree < LEAST_FILES:
            raise _refusal(
                folder, errno.ENOSPC, f"remove some files there: a start makes up to {LEAST_FILES}"
            )


def _refusal(folder: str, number: int, hint: str) -> StoreError:
    return StoreError(f"cannot write to {folder}: {os.strerror(number)}", hint=hint)
