"""Paths inside a root that is not trusted: resolved by openat2(2) to descriptors that never lie outside it."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from ctypes import c_char_p, c_int, c_size_t, c_uint64, c_void_p
from functools import partial
from typing import TYPE_CHECKING, Final, Self

from zonectl.errors import SyscallError
from zonectl.kernel.libc import SystemCall, c_text, failed, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from zonectl.kernel.libc import PathLike

    _Maker = Callable[[int, str], int]

RESOLVE_NO_XDEV: Final = 0x01
RESOLVE_NO_MAGICLINKS: Final = 0x02
RESOLVE_NO_SYMLINKS: Final = 0x04
RESOLVE_BENEATH: Final = 0x08
RESOLVE_IN_ROOT: Final = 0x10
RESOLVE_CACHED: Final = 0x20

RESOLVE_ATTEMPTS: Final = 128
"""How often a resolution is tried again that a rename or mount elsewhere made uncertain (EAGAIN)."""

MAX_LINKS: Final = 40
"""How many links are followed while folders are made; as path_resolution(7)."""

_ENTRY: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC

_OF_OURS: Final = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV
"""For what was made a moment ago: nothing that a neighbour could have put in its place leads elsewhere."""


class open_how(ctypes.Structure):
    """`struct open_how` of openat2(2)."""

    _fields_ = (("flags", c_uint64), ("mode", c_uint64), ("resolve", c_uint64))


_openat2 = SystemCall("openat2", c_int, c_char_p, c_void_p, c_size_t, number=437)


def openat2(dirfd: int, path: PathLike, flags: int, *, mode: int = 0, resolve: int = 0) -> int:
    """Open `path` below `dirfd`, resolved as RESOLVE_* say; closed on exec, owned by the caller. Linux 5.6."""
    how = open_how(flags | os.O_CLOEXEC, mode, resolve)
    return _openat2(dirfd, c_text(path), ctypes.addressof(how), ctypes.sizeof(how), subject=shown(path))


def open_in_root(rootfd: int, path: PathLike, flags: int, *, mode: int = 0) -> int:
    """Open `path` as if `rootfd` were the root: "/", ".." and links stay inside. openat2(2), Linux 5.6.

    Magic links of /proc are refused. EAGAIN, which a race with a rename gives, is retried.

    Raises:
        SyscallError: openat2.

    """
    for _attempt in range(RESOLVE_ATTEMPTS - 1):
        try:
            return _open_in_root_once(rootfd, path, flags, mode)
        except SyscallError as error:
            if error.errno != errno.EAGAIN:
                raise
    return _open_in_root_once(rootfd, path, flags, mode)


def _open_in_root_once(rootfd: int, path: PathLike, flags: int, mode: int) -> int:
    return openat2(rootfd, path, flags, mode=mode, resolve=RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)


def make_dirs_in_root(
    rootfd: int, path: str, mode: int = 0o755, *, owner: tuple[int, int] | None = None
) -> int:
    """Open the folder `path` inside the root, made with its parents where missing: an O_PATH descriptor.

    Links are followed inside the root, dangling ones to the place that they name. Folders made get exactly `mode`,
    whatever the umask, and `owner` (uid, gid); what is there is left as it is. The caller owns the descriptor.

    Raises:
        SyscallError: openat2, mkdirat; ENOTDIR where something else is in the way.

    """
    make = partial(_make_directory, mode=mode, owner=owner)
    fd = _open_or_make(rootfd, path, last=make, parents=make)
    return _checked(fd, path, directory=True)


def make_file_in_root(
    rootfd: int, path: str, mode: int = 0o644, *, owner: tuple[int, int] | None = None
) -> int:
    """Open the file `path` inside the root, made empty where missing, folders and all: an O_PATH descriptor.

    As `make_dirs_in_root`; parents are made with mode 0755. The caller owns the descriptor.

    Raises:
        SyscallError: openat2, mkdirat; EISDIR where a folder is in the way.

    """
    make = partial(_make_file, mode=mode, owner=owner)
    parents = partial(_make_directory, mode=0o755, owner=owner)
    fd = _open_or_make(rootfd, path, last=make, parents=parents)
    return _checked(fd, path, directory=False)


def _checked(fd: int, path: str, *, directory: bool) -> int:
    """`fd`, if it is a folder exactly when one is wanted; closed and refused otherwise."""
    if stat.S_ISDIR(os.fstat(fd).st_mode) == directory:
        return fd
    os.close(fd)
    raise SyscallError("openat2", errno.ENOTDIR if directory else errno.EISDIR, path)


def _open_or_make(rootfd: int, path: str, *, last: _Maker, parents: _Maker) -> int:
    try:
        return open_in_root(rootfd, path or "/", os.O_PATH)
    except SyscallError as error:
        if error.errno != errno.ENOENT:
            raise
    try:
        return _walk(rootfd, path, last=last, parents=parents)
    except OSError as error:
        raise failed("openat", error, path) from error


def _walk(rootfd: int, path: str, *, last: _Maker, parents: _Maker) -> int:
    """Go from descriptor to descriptor, making what is missing; no string is resolved twice, so no race leads out."""
    names = _names_reversed(path)
    links = 0
    with _Trail(rootfd) as trail:
        while names:
            name = names.pop()
            if name == "..":
                trail.up()
                continue
            fd = _open_or_make_one(trail.here, name, parents if names else last)
            if (target := _link_target(fd)) is None:
                trail.down(fd)
                continue
            links += 1
            if links > MAX_LINKS:
                raise SyscallError("openat", errno.ELOOP, path)
            if target.startswith("/"):
                trail.to_root()
            names += _names_reversed(target)
        return trail.take()


class _Trail:
    """The folders walked through below a root, each of which ".." leads back to; owns their descriptors."""

    def __init__(self, rootfd: int) -> None:
        self._rootfd = rootfd
        self._opened: list[int] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.to_root()

    @property
    def here(self) -> int:
        """The descriptor of the folder walked to."""
        return self._opened[-1] if self._opened else self._rootfd

    def down(self, fd: int) -> None:
        """Walk to `fd`, from now on owned by the trail."""
        self._opened.append(fd)

    def up(self) -> None:
        """Walk to the parent; the root is its own."""
        if self._opened:
            os.close(self._opened.pop())

    def to_root(self) -> None:
        """Walk back to the root."""
        while self._opened:
            os.close(self._opened.pop())

    def take(self) -> int:
        """An O_PATH descriptor of where the walk ended, from now on owned by the caller."""
        return self._opened.pop() if self._opened else os.open(".", _ENTRY, dir_fd=self._rootfd)


def _names_reversed(path: str) -> list[str]:
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]


def _link_target(fd: int) -> str | None:
    """Where the link of `fd` points, with `fd` closed; None when it is no link."""
    if not stat.S_ISLNK(os.fstat(fd).st_mode):
        return None
    try:
        return os.readlink("", dir_fd=fd)
    finally:
        os.close(fd)


def _open_or_make_one(parent: int, name: str, make: _Maker) -> int:
    for _attempt in range(RESOLVE_ATTEMPTS):
        try:
            return os.open(name, _ENTRY, dir_fd=parent)
        except FileNotFoundError:
            pass
        try:
            return make(parent, name)
        except FileExistsError:
            pass  # somebody else was quicker
    raise SyscallError("openat", errno.EAGAIN, name)


def _make_directory(parent: int, name: str, *, mode: int, owner: tuple[int, int] | None) -> int:
    os.mkdir(name, 0o700, dir_fd=parent)
    fd = openat2(parent, name, os.O_RDONLY | os.O_DIRECTORY, resolve=_OF_OURS)
    try:
        _finish(fd, mode=mode, owner=owner)
        return os.open(".", _ENTRY, dir_fd=fd)
    finally:
        os.close(fd)


def _make_file(parent: int, name: str, *, mode: int, owner: tuple[int, int] | None) -> int:
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=parent)
    try:
        _finish(fd, mode=mode, owner=owner)
        return openat2(parent, name, os.O_PATH, resolve=_OF_OURS)
    finally:
        os.close(fd)


def _finish(fd: int, *, mode: int, owner: tuple[int, int] | None) -> None:
    """Owner first: a change of owner takes setuid bits away (chown(2))."""
    if owner is not None:
        os.fchown(fd, *owner)
    os.fchmod(fd, mode)
