"""Writing files that come from somewhere hostile into a folder, by descriptors and following no link."""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress
from typing import IO, TYPE_CHECKING, BinaryIO, Final, Self

from zonectl.errors import ZonectlError
from zonectl.runtime.packing import MAP, parse_map

if TYPE_CHECKING:
    import tarfile

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK: Final = 1 << 20
_PERMISSIONS = 0o777
"""No setuid, setgid or sticky bit lands."""


class Landing:
    """The folder `path`, which is the caller's choice and may be reached through links; nothing below it may."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._top = -1

    def __enter__(self) -> Self:
        self._top = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._top)

    def put(self, name: str, member: tarfile.TarInfo, archive: tarfile.TarFile) -> None:
        """Write `member` as `name`, a path below the folder; a file or link that is there is replaced.

        Raises:
            ZonectlError: the name leads out of the folder, or through something that is no folder.
            OSError: it cannot be written.

        """
        *folders, last = name.split("/")
        if not last or {"", ".", ".."} & {*folders, last}:
            msg = f"refused: {name!r} leads elsewhere"
            raise ZonectlError(msg)
        parent = self._enter(folders, name)
        try:
            _put(parent, last, member, archive=archive)
        finally:
            os.close(parent)

    def _enter(self, folders: list[str], name: str) -> int:
        here = os.dup(self._top)
        for folder in folders:
            try:
                below = os.open(folder, _FOLDER, dir_fd=here)
            except NotADirectoryError as error:
                msg = f"refused: {name!r} leads through {folder!r}, which is no folder"
                raise ZonectlError(msg) from error
            finally:
                os.close(here)
            here = below
        return here


def _put(parent: int, name: str, member: tarfile.TarInfo, *, archive: tarfile.TarFile) -> None:
    if member.isdir():
        _make_folder(parent, name, member.mode & _PERMISSIONS)
    elif member.issym():
        _make_way(parent, name)
        os.symlink(member.linkname, name, dir_fd=parent)
    elif member.isreg():
        _make_way(parent, name)
        _write(parent, name, member, archive=archive)


def _make_folder(parent: int, name: str, mode: int) -> None:
    with suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=parent)
    try:
        folder = os.open(name, _FOLDER, dir_fd=parent)
    except NotADirectoryError as error:
        msg = f"refused: {name!r} is there and no folder"
        raise ZonectlError(msg) from error
    os.fchmod(folder, mode | stat.S_IRWXU)
    os.close(folder)


def _make_way(parent: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        return


def _write(parent: int, name: str, member: tarfile.TarInfo, *, archive: tarfile.TarFile) -> None:
    source = archive.extractfile(member)
    with open(os.open(name, _NEW, 0o600, dir_fd=parent), "wb") as file:
        if source is not None and MAP in member.pax_headers:
            _write_pieces(source, file, member)
        elif source is not None:
            shutil.copyfileobj(source, file, _CHUNK)
        file.flush()
        os.fchmod(file.fileno(), member.mode & _PERMISSIONS)
        os.utime(file.fileno(), (member.mtime, member.mtime))


def _write_pieces(source: IO[bytes], file: BinaryIO, member: tarfile.TarInfo) -> None:
    """Write a sparse file, whose holes stay holes."""
    try:
        size, pieces = parse_map(member.pax_headers[MAP], member.size)
    except ValueError as error:
        msg = "refused: the map of a sparse file is wrong"
        raise ZonectlError(msg) from error
    file.truncate(size)
    for offset, length in pieces:
        file.seek(offset)
        left = length
        while left and (part := source.read(min(left, _CHUNK))):
            file.write(part)
            left -= len(part)
