"""An archive's entries made into files, one by one. Run only inside the confined child of `unpack`.

Rules, where tar implementations differ: the last entry of a name wins; a leading "/" is dropped; ".." and paths
through links are refused; owners are numbers; set-id and sticky bits stay; device nodes are left out (zones get a
/dev of their own, and roots are mounted nodev); attributes are those of `xattrs`.
"""

from __future__ import annotations

import os
import stat
import tarfile
from typing import TYPE_CHECKING, cast

from zonectl.errors import ImageError
from zonectl.images import xattrs
from zonectl.images.limits import MAX_LINK_BYTES
from zonectl.images.places import Places, encoded, names_of, shown
from zonectl.model.ids import MAX_ID

if TYPE_CHECKING:
    from typing import IO, Self

    from zonectl.images.archive import Hashed
    from zonectl.images.limits import Limits
    from zonectl.images.places import Names

MAX_SKIPPED_SHOWN = 20
_CHUNK_BYTES = 1024 * 1024
_XATTR = "SCHILY.xattr."
_MAX_TIME_S = 2**34
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class _Member(tarfile.TarInfo):
    """A header; TarFile takes a damaged or missing one for the end of the archive, which must be told instead."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(archive)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise ImageError(f"the archive is damaged or ends early: {error}") from error


class Extraction:
    """The filling of one root, which `root_fd` is and the caller owns."""

    def __init__(self, root_fd: int, limits: Limits) -> None:
        self._root_fd = root_fd
        self._limits = limits
        self._places = Places(root_fd)
        self._times_ns: dict[Names, int] = {}
        self.entries = 0
        self.bytes = 0
        self.skipped: list[str] = []

    def run(self, stream: Hashed) -> None:
        """Make every entry of the archive.

        Raises:
            ImageError: an entry is refused, or there is too much.
            OSError, ValueError, EOFError, tarfile.TarError: the archive is damaged, or the disk full.

        """
        try:
            self._make_all(stream)
        finally:
            self._places.close()
        self._set_folder_times()

    def _make_all(self, stream: Hashed) -> None:
        with tarfile.open(
            fileobj=cast("IO[bytes]", stream),
            mode="r|",
            tarinfo=_Member,
            encoding="utf-8",
            errors="surrogateescape",
        ) as tar:
            while (member := tar.next()) is not None:
                # It would remember them all.
                tar.members = []  # type: ignore[attr-defined]
                self._make(tar, member)

    def _make(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        names = names_of(member.name)
        self._count(member, names)
        try:
            self._make_kind(tar, member, names=names)
        except OSError as error:
            raise ImageError(f"cannot unpack {shown(names)[:300]}: {error.strerror}") from error

    def _count(self, member: tarfile.TarInfo, names: Names) -> None:
        self.entries += 1
        if self.entries + self._places.made > self._limits.entries:
            raise ImageError(f"the archive has more than {self._limits.entries} entries")
        if member.size < 0 or not 0 <= member.uid <= MAX_ID or not 0 <= member.gid <= MAX_ID:
            raise ImageError(f"the size or owner of {shown(names)[:300]} is out of range")
        if member.isreg():
            self.bytes += member.size
        if member.size > self._limits.file_bytes or self.bytes > self._limits.total_bytes:
            raise ImageError(f"{shown(names)[:300]} is too large, or all files together are")

    def _make_kind(self, tar: tarfile.TarFile, member: tarfile.TarInfo, *, names: Names) -> None:
        if member.isdir():
            self._folder(member, names)
        elif not names:
            raise ImageError("the archive's root is not a folder")
        elif member.ischr() or member.isblk():
            self._skip(f"device {shown(names)}")
        else:
            parent = self._places.folder(names[:-1])
            if not member.islnk():
                self._clear(parent, names)
            if member.isreg():
                self._file(tar, member, parent=parent, name=names[-1])
            else:
                self._other(member, names, parent=parent)

    def _other(self, member: tarfile.TarInfo, names: Names, *, parent: int) -> None:
        name = names[-1]
        if member.issym():
            target = encoded(member.linkname)
            if not 0 < len(target) <= MAX_LINK_BYTES:
                raise ImageError(f"the link {shown(names)[:300]} has no target, or one that is too long")
            os.symlink(target, name, dir_fd=parent)
            self._finish_by_name(member, parent, name=name)
        elif member.isfifo():
            os.mkfifo(name, 0o600, dir_fd=parent)
            self._finish_by_name(member, parent, name=name)
            # Not before the owner changes; no link: it was made here, and nobody else is in this root.
            os.chmod(name, member.mode & 0o7777, dir_fd=parent)
        elif member.islnk():
            self._hard_link(member, names)
        else:
            raise ImageError(f"{shown(names)[:300]} is of an unknown type {member.type!r}")

    def _clear(self, parent: int, names: Names) -> None:
        self._places.clear(parent, names[-1])
        self._times_ns.pop(names, None)

    def _folder(self, member: tarfile.TarInfo, names: Names) -> None:
        fd = self._made(names)
        try:
            self._finish(fd, member)
        finally:
            os.close(fd)
        self._times_ns[names] = _time_ns(member)

    def _made(self, names: Names) -> int:
        if not names:
            return os.dup(self._root_fd)
        return self._places.make(self._places.folder(names[:-1]), names[-1])

    def _file(self, tar: tarfile.TarFile, member: tarfile.TarInfo, *, parent: int, name: bytes) -> None:
        fd = os.open(name, _NEW_FILE, 0o600, dir_fd=parent)
        try:
            _write_content(tar, member, fd)
            self._finish(fd, member)
            os.utime(fd, ns=(_time_ns(member),) * 2)
        finally:
            os.close(fd)

    def _hard_link(self, member: tarfile.TarInfo, names: Names) -> None:
        source = names_of(member.linkname)
        if not source or source == names:
            raise ImageError(f"the hard link {shown(names)[:300]} leads to itself")
        with self._places.existing(source[:-1]) as source_parent:
            found = os.stat(source[-1], dir_fd=source_parent, follow_symlinks=False)
            if stat.S_ISDIR(found.st_mode):
                raise ImageError(f"the hard link {shown(names)[:300]} leads to a folder")
            parent = self._places.folder(names[:-1])
            self._clear(parent, names)
            # Never through a link at the source: linkat(2) without AT_SYMLINK_FOLLOW.
            os.link(source[-1], names[-1], src_dir_fd=source_parent, dst_dir_fd=parent, follow_symlinks=False)

    def _finish(self, fd: int, member: tarfile.TarInfo) -> None:
        # A change of owner takes set-id bits and file capabilities away (chown(2)): owner first.
        os.fchown(fd, member.uid, member.gid)
        attributes = {
            encoded(key.removeprefix(_XATTR)): encoded(value)
            for key, value in member.pax_headers.items()
            if key.startswith(_XATTR)
        }
        for name in xattrs.write(fd, attributes):
            self._skip(f"attribute {shown((name,))[:100]} of {shown((encoded(member.name),))[:300]}")
        os.fchmod(fd, member.mode & 0o7777)

    def _finish_by_name(self, member: tarfile.TarInfo, parent: int, *, name: bytes) -> None:
        os.chown(name, member.uid, member.gid, dir_fd=parent, follow_symlinks=False)
        os.utime(name, ns=(_time_ns(member),) * 2, dir_fd=parent, follow_symlinks=False)

    def _set_folder_times(self) -> None:
        for names, time_ns in self._times_ns.items():
            with self._places.existing(names) as fd:
                os.utime(fd, ns=(time_ns, time_ns))

    def _skip(self, what: str) -> None:
        if len(self.skipped) < MAX_SKIPPED_SHOWN:
            self.skipped.append(what)


def _write_content(tar: tarfile.TarFile, member: tarfile.TarInfo, fd: int) -> None:
    source = tar.extractfile(member)
    if source is None:
        raise ImageError("a file without content")
    left = member.size
    while left:
        chunk = source.read(min(left, _CHUNK_BYTES))
        if not chunk:
            raise EOFError("the archive ends early")
        left -= len(chunk)
        _write_chunk(fd, chunk, sparse=member.issparse())
    os.ftruncate(fd, member.size)


def _write_chunk(fd: int, chunk: bytes, *, sparse: bool) -> None:
    if sparse and not chunk.strip(b"\0"):
        os.lseek(fd, len(chunk), os.SEEK_CUR)
        return
    rest = memoryview(chunk)
    while rest:
        rest = rest[os.write(fd, rest) :]


def _time_ns(member: tarfile.TarInfo) -> int:
    seconds = float(member.mtime)
    if not -_MAX_TIME_S < seconds < _MAX_TIME_S:
        raise ImageError("a time in the archive is out of range")
    return round(seconds * 10**9)
