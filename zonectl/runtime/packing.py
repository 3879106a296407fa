"""Reading a tree that somebody hostile may be changing, as an archive: by descriptors, and following no link.

The other half of `landing`. Both ends are zonectl's, and say two things to each other that tar has no common words
for: where a sparse file has data (`MAP`), and what is left out (an entry of its own kind, with nothing in it).
"""

from __future__ import annotations

import errno
import os
import stat
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Final

from zonectl.errors import ZonectlError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAP: Final = "ZONECTL.map"
"""The extended header of a sparse file: "SIZE", then " OFFSET LENGTH" for each piece that has data."""

SOCKET: Final = b"s"
"""The kind of entry of a socket, for which tar has none."""

LEFT_OUT: Final = {
    tarfile.FIFOTYPE: "fifo",
    tarfile.CHRTYPE: "device",
    tarfile.BLKTYPE: "device",
    SOCKET: "socket",
}

MAX_DEPTH: Final = 256
"""How deep folders are followed: each level costs two descriptors."""

MAX_TOLD: Final = 20
MAX_NAME: Final = 200

MAX_PIECES: Final = 10_000
"""Of a sparse file's data; what comes after the last but one is copied as if it had no holes."""

_KINDS: Final = {
    stat.S_IFIFO: tarfile.FIFOTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE,
    stat.S_IFBLK: tarfile.BLKTYPE,
    stat.S_IFSOCK: SOCKET,
}
_CHANGED: Final = frozenset({errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.EINVAL})
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class LeftOut:
    """What a copy leaves out, for a warning."""

    def __init__(self) -> None:
        self._told: list[str] = []
        self._more = 0

    def note(self, what: str, name: str) -> None:
        """Remember one of them, if not too many are."""
        if len(self._told) < MAX_TOLD:
            self._told.append(f"{what} {name[:MAX_NAME]}")
        else:
            self._more += 1

    def told(self) -> tuple[str, ...]:
        """Each in words, and how many more there are."""
        return (*self._told, *((f"{self._more} more",) if self._more else ()))


def pack(pipe: BinaryIO, source: str, base: str) -> tuple[str, ...]:
    """Write the tree at `source` into `pipe` as an archive, in which it is called `base`; tells what is left out.

    Not by tarfile's own `add`: it asks for the names of owners, and inside a zone the C library would load the module
    that the zone's nsswitch.conf names (CVE-2019-14271).

    Raises:
        OSError: something cannot be read.
        ZonectlError: it is nested too deep.

    """
    folder, name = os.path.split(source.rstrip("/")) if source.strip("/") else ("/", ".")
    if name in {"", ".", ".."}:
        folder, name = source, "."
    with tarfile.open(fileobj=pipe, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        parent = os.open(folder or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            packing = _Packing(archive)
            packing.entry(parent, name, base)
        finally:
            os.close(parent)
    pipe.flush()
    return packing.left.told()


def parse_map(text: str, stored: int) -> tuple[int, list[tuple[int, int]]]:
    """The size of a sparse file and its pieces, as offset and length, which together are `stored` bytes.

    Raises:
        ValueError: it is no map of such a file.

    """
    size, *numbers = (_natural(word) for word in text.split(" "))
    pieces = list(zip(numbers[::2], numbers[1::2], strict=True))
    end = 0
    for offset, length in pieces:
        if offset < end:
            raise ValueError(text[:80])
        end = offset + length
    if end > size or sum(length for _, length in pieces) != stored:
        raise ValueError(text[:80])
    return size, pieces


def _natural(word: str) -> int:
    if not (word.isascii() and word.isdecimal()) or int(word) >= 1 << 63:
        raise ValueError(word[:80])
    return int(word)


def forget_members(archive: tarfile.TarFile) -> None:
    """Have `archive` remember none of its members: a zone decides how many there are."""
    archive.members = []  # type: ignore[attr-defined]


class _Packing:
    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self.left = LeftOut()

    def entry(self, parent: int, name: str, shown: str, *, depth: int = 0) -> None:
        """Add what `name` is in the folder `parent`, called `shown`; what has gone meanwhile was never there."""
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFREG:
            self._file(parent, name, shown)
        elif kind == stat.S_IFDIR:
            self._folder(parent, name, shown, depth=depth)
        elif kind == stat.S_IFLNK:
            link = _member(shown, status, tarfile.SYMTYPE)
            link.linkname = os.readlink(name, dir_fd=parent)
            self._archive.addfile(link)
        else:
            self.left.note(LEFT_OUT[_KINDS[kind]], shown)
            self._archive.addfile(_member(shown, status, _KINDS[kind]))

    def _folder(self, parent: int, name: str, shown: str, *, depth: int) -> None:
        if depth > MAX_DEPTH:
            msg = f"more than {MAX_DEPTH} folders deep: {shown[:80]}…"
            raise ZonectlError(msg)
        folder = os.open(name, _FOLDER, dir_fd=parent)
        try:
            self._archive.addfile(_member(shown, os.fstat(folder), tarfile.DIRTYPE))
            with os.scandir(folder) as entries:
                for below in entries:
                    self._below(folder, below.name, f"{shown}/{below.name}", depth=depth + 1)
        finally:
            os.close(folder)

    def _below(self, folder: int, name: str, shown: str, *, depth: int) -> None:
        forget_members(self._archive)
        try:
            self.entry(folder, name, shown, depth=depth)
        except OSError as error:
            # Removed, or made into something else, since it was looked at: that is the tree's own affair.
            if error.errno not in _CHANGED:
                raise

    def _file(self, parent: int, name: str, shown: str) -> None:
        # The size is that of what was opened, not of what was at the name a moment before.
        fd = os.open(name, _FILE, dir_fd=parent)
        try:
            status = os.fstat(fd)
            if stat.S_ISREG(status.st_mode):
                self._content(fd, status, shown)
        finally:
            os.close(fd)

    def _content(self, fd: int, status: os.stat_result, shown: str) -> None:
        pieces = list(_pieces(fd, status))
        member = _member(shown, status, tarfile.REGTYPE)
        member.size = sum(length for _, length in pieces)
        if member.size != status.st_size:
            words = (f"{offset} {length}" for offset, length in pieces)
            member.pax_headers = {MAP: " ".join((str(status.st_size), *words))}
        self._archive.addfile(member, _Data(fd, pieces))  # type: ignore[arg-type]


def _pieces(fd: int, status: os.stat_result) -> Iterator[tuple[int, int]]:
    """Where the file has data (SEEK_DATA of lseek(2)): all of it where the file system cannot tell."""
    size = status.st_size
    if status.st_blocks * 512 >= size:
        yield 0, size
        return
    at = 0
    for _ in range(MAX_PIECES - 1):
        try:
            begin = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return  # from there on it is a hole
            break
        at = min(os.lseek(fd, begin, os.SEEK_HOLE), size)
        if begin >= at:
            return
        yield begin, at - begin
        if at == size:
            return
    yield at, size - at


@dataclass
class _Data:
    """The pieces of a file, one after the other; as much as tarfile asks of a file."""

    fd: int
    pieces: list[tuple[int, int]]
    _at: int = field(default=0)
    _done: int = field(default=0)

    def read(self, count: int) -> bytes:
        """The next bytes, at most `count`; none at the end, or where the file has become shorter."""
        parts: list[bytes] = []
        while count and self._at < len(self.pieces):
            offset, length = self.pieces[self._at]
            part = os.pread(self.fd, min(count, length - self._done), offset + self._done)
            if not part and length > self._done:
                break
            parts.append(part)
            count -= len(part)
            self._done += len(part)
            if self._done == length:
                self._at, self._done = self._at + 1, 0
        return b"".join(parts)


def _member(name: str, status: os.stat_result, kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = kind
    member.mode = stat.S_IMODE(status.st_mode)
    member.mtime = int(status.st_mtime)
    return member
