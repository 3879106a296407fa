"""The content of one file into another: sharing blocks, else copied by the kernel, holes kept."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from zonectl.errors import SyscallError
from zonectl.kernel.reflink import ficlone

if TYPE_CHECKING:
    from collections.abc import Iterator

_CANNOT_CLONE = frozenset(
    {errno.EOPNOTSUPP, errno.EXDEV, errno.ENOTTY, errno.EINVAL, errno.ETXTBSY, errno.EPERM}
)
_CANNOT_COPY = frozenset({errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS})
_CHUNK_BYTES = 1024 * 1024


class Cloning:
    """Copies files between the same two file systems: what failed once for lack of support is not tried again."""

    def __init__(self) -> None:
        self._clones = True

    def copy(self, source_fd: int, target_fd: int) -> int:
        """Make the empty file `target_fd` a copy of `source_fd`; gives its size in bytes.

        Raises:
            OSError: it cannot be read or written.

        """
        size = os.fstat(source_fd).st_size
        if size == 0 or self._clone(source_fd, target_fd):
            return size
        for start, end in _data(source_fd, size):
            _copy_range(source_fd, target_fd, start=start, end=end)
        os.ftruncate(target_fd, size)
        return size

    def _clone(self, source_fd: int, target_fd: int) -> bool:
        if not self._clones:
            return False
        try:
            ficlone(target_fd, source_fd)
        except SyscallError as error:
            if error.errno not in _CANNOT_CLONE:
                raise
            self._clones = False
            return False
        return True


def _data(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """Where the file has data, as (start, end): lseek(2), SEEK_DATA."""
    end = 0
    while end < size:
        try:
            start = os.lseek(fd, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return
        end = min(os.lseek(fd, start, os.SEEK_HOLE), size)
        if start >= end:
            return
        yield start, end


def _copy_range(source_fd: int, target_fd: int, *, start: int, end: int) -> None:
    while start < end:
        try:
            count = os.copy_file_range(source_fd, target_fd, end - start, start, start)
        except OSError as error:
            if error.errno not in _CANNOT_COPY:
                raise
            count = _copy_chunk(source_fd, target_fd, start=start, end=end)
        if count == 0:
            return  # the source has become shorter
        start += count


def _copy_chunk(source_fd: int, target_fd: int, *, start: int, end: int) -> int:
    data = os.pread(source_fd, min(end - start, _CHUNK_BYTES), start)
    return os.pwrite(target_fd, data, start)
