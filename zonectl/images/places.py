"""Names inside a root that is being filled: each resolved by descriptor, beneath it, through no link at all."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from zonectl.errors import ImageError, SyscallError
from zonectl.images.limits import MAX_DEPTH, MAX_NAME_BYTES
from zonectl.kernel.path import (
    RESOLVE_BENEATH,
    RESOLVE_NO_MAGICLINKS,
    RESOLVE_NO_SYMLINKS,
    RESOLVE_NO_XDEV,
    openat2,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

Names: TypeAlias = tuple[bytes, ...]

WHITEOUT = b".wh."
PARENT_MODE = 0o755

_RESOLVE = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV


def encoded(text: str) -> bytes:
    """The bytes that a text of an archive was read from (tarfile keeps what is not UTF-8 as surrogates)."""
    return text.encode("utf-8", "surrogateescape")


def shown(names: Names) -> str:
    """The names as a path for a message; hostile bytes are escaped."""
    return repr(b"/".join(names).decode("utf-8", "backslashreplace"))[1:-1] or "."


def names_of(text: str) -> Names:
    """The names of an entry's path: a leading "/" is dropped as tar does, ".." is refused.

    Raises:
        ImageError: a name is "..", too long, or a whiteout of an image layer; or there are too many.

    """
    names = tuple(name for name in encoded(text).split(b"/") if name not in {b"", b"."})
    if len(names) > MAX_DEPTH:
        raise ImageError(f"a path is more than {MAX_DEPTH} folders deep: {shown(names)[:80]}…")
    for name in names:
        if name == b".." or len(name) > MAX_NAME_BYTES or b"\0" in name:
            raise ImageError(f"a path leaves the archive or is too long: {shown(names)[:300]}")
        if name.startswith(WHITEOUT):
            raise ImageError(
                f"a whiteout of an image layer, which a root archive has none of: {shown(names)[:300]}"
            )
    return names


class Places:
    """The folders of the root `root_fd`, which the caller owns; the last one used stays open."""

    def __init__(self, root_fd: int) -> None:
        self._root_fd = root_fd
        self._last: tuple[Names, int] | None = None
        self.made = 0

    def close(self) -> None:
        """Close the folder that was used last."""
        if self._last is not None:
            os.close(self._last[1])
            self._last = None

    def folder(self, names: Names) -> int:
        """The descriptor of the folder `names`, made with its parents where missing; good until the next call.

        Raises:
            ImageError: a link or a file is in the way.
            OSError: it cannot be made.

        """
        if self._last is None or self._last[0] != names:
            self.close()
            self._last = (names, self._opened_or_made(names))
        return self._last[1]

    @contextmanager
    def existing(self, names: Names) -> Iterator[int]:
        """The descriptor of the folder `names`, which must be there.

        Raises:
            ImageError: it is not, or it is a link or a file.

        """
        fd = self._open(names)
        if fd is None:
            raise ImageError(f"no such folder in the archive: {shown(names)}")
        try:
            yield fd
        finally:
            os.close(fd)

    def clear(self, parent: int, name: bytes) -> None:
        """Remove what has the name now: a later entry replaces it. A folder must be empty.

        Raises:
            OSError: ENOTEMPTY for a folder with entries.

        """
        try:
            os.unlink(name, dir_fd=parent)
        except FileNotFoundError:
            return
        except IsADirectoryError:
            os.rmdir(name, dir_fd=parent)

    def make(self, parent: int, name: bytes) -> int:
        """Make the folder unless it is there, in place of anything else; its descriptor, owned by the caller."""
        try:
            os.mkdir(name, 0o700, dir_fd=parent)
            self.made += 1
        except FileExistsError:
            if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
                os.unlink(name, dir_fd=parent)
                os.mkdir(name, 0o700, dir_fd=parent)
                self.made += 1
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)

    def _opened_or_made(self, names: Names) -> int:
        if (found := self._open(names)) is not None:
            return found
        fd = os.dup(self._root_fd)
        for name in names:
            try:
                below = self._entered(fd, name)
            finally:
                os.close(fd)
            fd = below
        return fd

    def _entered(self, parent: int, name: bytes) -> int:
        before = self.made
        fd = self.make(parent, name)
        if self.made > before:
            os.fchmod(fd, PARENT_MODE)
        return fd

    def _open(self, names: Names) -> int | None:
        path = b"/".join(names) or b"."
        try:
            return openat2(self._root_fd, path, os.O_RDONLY | os.O_DIRECTORY, resolve=_RESOLVE)
        except SyscallError as error:
            if error.errno == errno.ENOENT:
                return None
            if error.errno in {errno.ELOOP, errno.ENOTDIR, errno.EXDEV}:
                raise ImageError(
                    f"a path leads through a link or file of the archive: {shown(names)}"
                ) from error
            raise
