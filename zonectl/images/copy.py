"""Whole roots copied: layers merged, files sharing their blocks where the file system can.

The source may be hostile, and in use: nothing in it is resolved twice, no link is followed, no device or FIFO opened.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from zonectl.errors import ImageError, SyscallError
from zonectl.images import xattrs
from zonectl.images.content import Cloning
from zonectl.images.limits import MAX_DEPTH
from zonectl.images.merging import is_opaque, is_whiteout
from zonectl.images.places import PARENT_MODE, Places, shown
from zonectl.kernel.path import RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_XDEV, openat2
from zonectl.kernel.trusted import open_trusted
from zonectl.store import folders

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zonectl.images.limits import Limits
    from zonectl.images.places import Names

_ENTRY: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
# NO_XDEV, not st_dev: on overlay a file's may differ from its folder's without any mount between.
_RESOLVE: Final = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
MAX_SKIPPED_SHOWN = 20


@dataclass(slots=True)
class Copied:
    """What a copy made; `skipped` are sockets, device nodes, other file systems and attributes, 20 at most."""

    entries: int = 0
    bytes: int = 0
    skipped: list[str] = field(default_factory=list)


def copy_tree(sources: Sequence[str], target: str, *, limits: Limits | None = None) -> Copied:
    """Copy the folders `sources`, topmost first, merged as overlay would, to the folder `target`.

    `target` is made where it is missing, and must be empty. Owners, modes, times, hard links, holes and the
    attributes of `xattrs` are kept. Other file systems mounted in a source are left out, and the target if it is in it.
    `limits` are for sources of which every byte will be read, holes and all.

    Raises:
        ImageError: a source is too deep, too large, or cannot be read, or the target cannot be written.

    """
    try:
        os.makedirs(target, 0o700, exist_ok=True)
        with ExitStack() as opened:
            target_fd = opened.enter_context(_descriptor(target))
            copied = Copied()
            for source in reversed(sources):
                source_fd = opened.enter_context(_source(source))
                _Copying(target_fd, copied, limits).folder(source_fd, target_fd, ())
    except (OSError, SyscallError) as error:
        raise ImageError(f"cannot copy {sources[0]}: {getattr(error, 'strerror', None) or error}") from error
    return copied


class _Copying:
    """The copying of one layer over what is there already."""

    def __init__(self, target_fd: int, copied: Copied, limits: Limits | None) -> None:
        self._limits = limits
        self._places = Places(target_fd)
        self._target = os.fstat(target_fd)
        self._copied = copied
        self._cloning = Cloning()
        self._first: dict[tuple[int, int], Names] = {}

    def folder(self, source_fd: int, target_fd: int, names: Names) -> None:
        if len(names) > MAX_DEPTH:
            raise ImageError(f"the source is more than {MAX_DEPTH} folders deep: {shown(names)[:80]}…")
        if is_opaque(source_fd):
            folders.clear(target_fd)
        for name in os.listdir(source_fd):
            self._entry(source_fd, target_fd, (*names, os.fsencode(name)))
        self._finish(source_fd, target_fd, names)

    def _entry(self, source_parent: int, target_parent: int, names: Names) -> None:
        try:
            entry = openat2(source_parent, names[-1], _ENTRY, resolve=_RESOLVE)
        except SyscallError as error:
            if error.errno == errno.EXDEV:
                self._mounted(target_parent, names)
            elif error.errno != errno.ENOENT:  # removed since the folder was listed
                raise
            return
        try:
            self._entry_of(entry, target_parent, names)
        finally:
            os.close(entry)

    def _entry_of(self, entry: int, target_parent: int, names: Names) -> None:
        status = os.fstat(entry)
        if os.path.samestat(status, self._target):
            self._skip(f"the copy itself at {shown(names)}")
        elif stat.S_ISDIR(status.st_mode):
            self._folder_of(entry, target_parent, names)
        else:
            self._clear(target_parent, names[-1])
            if is_whiteout(status):
                return
            if not self._linked(status, target_parent, names):
                self._make(entry, status, target_parent=target_parent, names=names)

    def _mounted(self, target_parent: int, names: Names) -> None:
        """Leave out what is mounted there, but keep the place: a zone's /proc goes where the host's was."""
        self._skip(f"another file system at {shown(names)}")
        fd = self._places.make(target_parent, names[-1])
        os.fchmod(fd, PARENT_MODE)
        os.close(fd)

    def _folder_of(self, entry: int, target_parent: int, names: Names) -> None:
        self._copied.entries += 1
        source_fd = os.open(".", _FOLDER, dir_fd=entry)
        try:
            target_fd = self._places.make(target_parent, names[-1])
            try:
                self.folder(source_fd, target_fd, names)
            finally:
                os.close(target_fd)
        finally:
            os.close(source_fd)

    def _linked(self, status: os.stat_result, target_parent: int, names: Names) -> bool:
        if status.st_nlink == 1:
            return False
        identity = (status.st_dev, status.st_ino)
        first = self._first.setdefault(identity, names)
        if first is names:
            return False
        with self._places.existing(first[:-1]) as first_parent:
            os.link(
                first[-1], names[-1], src_dir_fd=first_parent, dst_dir_fd=target_parent, follow_symlinks=False
            )
        return True

    def _make(self, entry: int, status: os.stat_result, *, target_parent: int, names: Names) -> None:
        name, kind = names[-1], stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFREG:
            self._file(entry, target_parent, names)
        elif kind == stat.S_IFLNK:
            os.symlink(os.readlink(b"", dir_fd=entry), name, dir_fd=target_parent)
            _finish_by_name(status, target_parent, name)
        elif kind == stat.S_IFIFO:
            os.mkfifo(name, 0o600, dir_fd=target_parent)
            _finish_by_name(status, target_parent, name)
            os.chmod(name, stat.S_IMODE(status.st_mode), dir_fd=target_parent)
        else:
            self._first.pop((status.st_dev, status.st_ino), None)
            self._skip(f"device or socket {shown(names)}")
            return
        self._copied.entries += 1

    def _file(self, entry: int, target_parent: int, names: Names) -> None:
        # Through the entry's own descriptor: what was examined is what is read. The host's /proc, not a zone's.
        source_fd = os.open(f"/proc/self/fd/{entry}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            self._check(source_fd, names)
            target_fd = os.open(names[-1], _NEW_FILE, 0o600, dir_fd=target_parent)
            try:
                self._copied.bytes += self._cloning.copy(source_fd, target_fd)
                self._finish(source_fd, target_fd, names)
            finally:
                os.close(target_fd)
        finally:
            os.close(source_fd)

    def _check(self, source_fd: int, names: Names) -> None:
        bounds, size = self._limits, os.fstat(source_fd).st_size
        if bounds is None:
            return
        if size > bounds.file_bytes:
            raise ImageError(f"a file is larger than {bounds.file_bytes} bytes: {shown(names)[:300]}")
        if self._copied.bytes + size > bounds.total_bytes:
            raise ImageError(f"the files are larger than {bounds.total_bytes} bytes together")

    def _finish(self, source_fd: int, target_fd: int, names: Names) -> None:
        status = os.fstat(source_fd)
        # Owner first: a change of owner takes set-id bits and file capabilities away (chown(2)).
        os.fchown(target_fd, status.st_uid, status.st_gid)
        for name in xattrs.write(target_fd, xattrs.read(source_fd)):
            self._skip(f"attribute {shown((name,))} of {shown(names)}")
        os.fchmod(target_fd, stat.S_IMODE(status.st_mode))
        os.utime(target_fd, ns=(status.st_atime_ns, status.st_mtime_ns))

    def _clear(self, target_parent: int, name: bytes) -> None:
        try:
            self._places.clear(target_parent, name)
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise
            with _descriptor_at(target_parent, name) as fd:
                folders.clear(fd)
            self._places.clear(target_parent, name)

    def _skip(self, what: str) -> None:
        if len(self._copied.skipped) < MAX_SKIPPED_SHOWN:
            self._copied.skipped.append(what[:400])


def _finish_by_name(status: os.stat_result, parent: int, name: bytes) -> None:
    os.chown(name, status.st_uid, status.st_gid, dir_fd=parent, follow_symlinks=False)
    os.utime(name, ns=(status.st_atime_ns, status.st_mtime_ns), dir_fd=parent, follow_symlinks=False)


@contextmanager
def _source(path: str) -> Iterator[int]:
    """The folder at `path`, which is the operator's, and so are the links on the way that nobody else can make."""
    found = open_trusted(path)
    try:
        fd = os.open(".", _FOLDER, dir_fd=found)
    finally:
        os.close(found)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _descriptor(path: str) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _descriptor_at(parent: int, name: bytes) -> Iterator[int]:
    fd = os.open(name, _FOLDER, dir_fd=parent)
    try:
        yield fd
    finally:
        os.close(fd)
