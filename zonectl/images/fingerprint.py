"""One SHA-256 over a whole tree: names, kinds, owners, modes, times of files, content, attributes, hard links.

It names what was imported from a folder, and tells later whether a layer is still what it was.
"""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING

from zonectl.errors import ImageError
from zonectl.images import xattrs
from zonectl.images.limits import MAX_DEPTH

if TYPE_CHECKING:
    from zonectl.images.places import Names

_CHUNK_BYTES = 1024 * 1024


def fingerprint(root_fd: int) -> str:
    """The SHA-256, in hex, of the tree of the folder, which the caller owns. No link is followed.

    Raises:
        ImageError: the tree is too deep, or cannot be read.

    """
    walk = _Walk()
    try:
        walk.folder(root_fd, ())
    except OSError as error:
        raise ImageError(f"cannot read the tree: {error.strerror}") from error
    return walk.hash.hexdigest()


class _Walk:
    def __init__(self) -> None:
        self.hash = hashlib.sha256()
        self._seen: dict[tuple[int, int], bytes] = {}

    def folder(self, fd: int, names: Names) -> None:
        if len(names) > MAX_DEPTH:
            raise ImageError(f"the tree is more than {MAX_DEPTH} folders deep")
        self._note(b"folder", names, os.fstat(fd))
        self._note_attributes(fd)
        for name in sorted(os.fsencode(entry) for entry in os.listdir(fd)):
            self._entry(fd, (*names, name))

    def _entry(self, parent: int, names: Names) -> None:
        status = os.stat(names[-1], dir_fd=parent, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            fd = os.open(
                names[-1], os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent
            )
            try:
                self.folder(fd, names)
            finally:
                os.close(fd)
        elif not self._noted_as_link(status, names):
            self._file(parent, names, status)

    def _noted_as_link(self, status: os.stat_result, names: Names) -> bool:
        identity = (status.st_dev, status.st_ino)
        first = self._seen.get(identity)
        if first is not None:
            self._put(b"link", *names, b"", first)
        elif status.st_nlink > 1:
            self._seen[identity] = b"/".join(names)
        return first is not None

    def _file(self, parent: int, names: Names, status: os.stat_result) -> None:
        if stat.S_ISLNK(status.st_mode):
            self._note(b"symlink", names, status)
            self._put(os.readlink(names[-1], dir_fd=parent))
        elif stat.S_ISREG(status.st_mode):
            fd = os.open(names[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=parent)
            try:
                self._note(b"file", names, os.fstat(fd))
                self._note_attributes(fd)
                self._put(_content(fd))
            finally:
                os.close(fd)
        else:
            self._note(b"%o" % stat.S_IFMT(status.st_mode), names, status)

    def _note(self, kind: bytes, names: Names, status: os.stat_result) -> None:
        # Not the times of folders: overlay and backups touch them, and they say nothing of what is there.
        time_s = 0 if stat.S_ISDIR(status.st_mode) else status.st_mtime_ns // 10**9
        numbers = (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, time_s)
        self._put(kind, *names, b"", *(b"%d" % number for number in numbers))

    def _note_attributes(self, fd: int) -> None:
        for name, value in xattrs.read(fd).items():
            self._put(b"attribute", name, value)

    def _put(self, *parts: bytes) -> None:
        # Lengths first, so that no two trees give the same bytes.
        self.hash.update(b"%d\n" % len(parts))
        for part in parts:
            self.hash.update(b"%d:%b\n" % (len(part), part))


def _content(fd: int) -> bytes:
    content = hashlib.sha256()
    while data := os.read(fd, _CHUNK_BYTES):
        content.update(data)
    return content.digest()
