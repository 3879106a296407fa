"""Mounts: mount(2) and the descriptor-based calls that came after it."""

from __future__ import annotations

import ctypes
import os
from ctypes import c_char_p, c_int, c_long, c_size_t, c_uint, c_uint64, c_ulong, c_void_p
from typing import TYPE_CHECKING, Final

from zonectl.errors import SyscallError
from zonectl.kernel.libc import (
    AT_EMPTY_PATH,
    AT_FDCWD,
    AT_RECURSIVE,
    AT_SYMLINK_NOFOLLOW,
    SystemCall,
    c_text,
    c_text_or_null,
    shown,
)

if TYPE_CHECKING:
    from zonectl.kernel.libc import PathLike

__all__ = ["AT_EMPTY_PATH", "AT_FDCWD", "AT_RECURSIVE", "AT_SYMLINK_NOFOLLOW"]  # re-exported

MS_RDONLY: Final = 1
MS_NOSUID: Final = 2
MS_NODEV: Final = 4
MS_NOEXEC: Final = 8
MS_REMOUNT: Final = 32
MS_NOSYMFOLLOW: Final = 256
MS_NOATIME: Final = 1024
MS_BIND: Final = 4096
MS_MOVE: Final = 8192
MS_REC: Final = 16384
MS_UNBINDABLE: Final = 1 << 17
MS_PRIVATE: Final = 1 << 18
MS_SLAVE: Final = 1 << 19
MS_SHARED: Final = 1 << 20
MS_RELATIME: Final = 1 << 21
MS_STRICTATIME: Final = 1 << 24

MNT_FORCE: Final = 1
MNT_DETACH: Final = 2
UMOUNT_NOFOLLOW: Final = 8

OPEN_TREE_CLONE: Final = 1
OPEN_TREE_CLOEXEC: Final = os.O_CLOEXEC

MOVE_MOUNT_F_SYMLINKS: Final = 0x01
MOVE_MOUNT_F_EMPTY_PATH: Final = 0x04
MOVE_MOUNT_T_SYMLINKS: Final = 0x10
MOVE_MOUNT_T_EMPTY_PATH: Final = 0x40
MOVE_MOUNT_BENEATH: Final = 0x200

MOUNT_ATTR_RDONLY: Final = 0x1
MOUNT_ATTR_NOSUID: Final = 0x2
MOUNT_ATTR_NODEV: Final = 0x4
MOUNT_ATTR_NOEXEC: Final = 0x8
MOUNT_ATTR__ATIME: Final = 0x70
MOUNT_ATTR_RELATIME: Final = 0x00
MOUNT_ATTR_NOATIME: Final = 0x10
MOUNT_ATTR_STRICTATIME: Final = 0x20
MOUNT_ATTR_NODIRATIME: Final = 0x80
MOUNT_ATTR_IDMAP: Final = 0x100000
MOUNT_ATTR_NOSYMFOLLOW: Final = 0x200000

BTRFS_SUPER_MAGIC: Final = 0x9123683E
CGROUP2_SUPER_MAGIC: Final = 0x63677270
DEVPTS_SUPER_MAGIC: Final = 0x1CD1
EXT4_SUPER_MAGIC: Final = 0xEF53
OVERLAYFS_SUPER_MAGIC: Final = 0x794C7630
PROC_SUPER_MAGIC: Final = 0x9FA0
SYSFS_MAGIC: Final = 0x62656572
TMPFS_MAGIC: Final = 0x01021994
XFS_SUPER_MAGIC: Final = 0x58465342

FSOPEN_CLOEXEC: Final = 1
FSMOUNT_CLOEXEC: Final = 1
FSCONFIG_SET_FLAG: Final = 0
FSCONFIG_SET_STRING: Final = 1
FSCONFIG_CMD_CREATE: Final = 6


class mount_attr(ctypes.Structure):
    """`struct mount_attr` of mount_setattr(2)."""

    _fields_ = (
        ("attr_set", c_uint64),
        ("attr_clr", c_uint64),
        ("propagation", c_uint64),
        ("userns_fd", c_uint64),
    )


class statfs(ctypes.Structure):
    """As much of `struct statfs` of statfs(2) as is read, and room for the rest."""

    _fields_ = (("f_type", c_long), ("rest", c_long * 31))


_fstatfs = SystemCall("fstatfs", c_int, c_void_p)
_mount = SystemCall("mount", c_char_p, c_char_p, c_char_p, c_ulong, c_char_p)
_umount2 = SystemCall("umount2", c_char_p, c_int)
_pivot_root = SystemCall("pivot_root", c_char_p, c_char_p)
_open_tree = SystemCall("open_tree", c_int, c_char_p, c_uint, number=428)
_move_mount = SystemCall("move_mount", c_int, c_char_p, c_int, c_char_p, c_uint, number=429)
_fsopen = SystemCall("fsopen", c_char_p, c_uint, number=430)
_fsconfig = SystemCall("fsconfig", c_int, c_uint, c_char_p, c_char_p, c_int, number=431)
_fsmount = SystemCall("fsmount", c_int, c_uint, c_uint, number=432)
_mount_setattr = SystemCall("mount_setattr", c_int, c_char_p, c_uint, c_void_p, c_size_t, number=442)


def mount(
    source: PathLike | None,
    target: PathLike,
    fstype: str | None = None,
    flags: int = 0,
    data: PathLike | None = None,
) -> None:
    """Mount, bind, move, remount, or change propagation; mount(2). `data` holds at most a page of options."""
    _mount(
        c_text_or_null(source),
        c_text(target),
        c_text_or_null(fstype),
        flags,
        c_text_or_null(data),
        subject=f"{fstype or shown(source) or 'none'} on {shown(target)}",
    )


def umount(target: PathLike, flags: int = 0) -> None:
    """Take away the topmost mount at `target`; umount2(2)."""
    _umount2(c_text(target), flags, subject=shown(target))


def pivot_root(new: PathLike, old: PathLike) -> None:
    """Make the mount `new` the root, and put the old root at `old`; pivot_root(2). "." twice stacks them."""
    _pivot_root(c_text(new), c_text(old), subject=shown(new))


def open_tree(dirfd: int, path: PathLike = "", flags: int = 0) -> int:
    """A descriptor, owned by the caller, of a mount, or with OPEN_TREE_CLONE of a detached copy; Linux 5.2.

    An empty path means `dirfd` itself. open_tree(2). A copy of another mount namespace's detached mount: EINVAL.
    """
    empty = 0 if path else AT_EMPTY_PATH
    return _open_tree(dirfd, c_text(path), flags | empty | OPEN_TREE_CLOEXEC, subject=shown(path))


def move_mount(
    from_fd: int, from_path: PathLike = "", to_fd: int = AT_FDCWD, to_path: PathLike = "", flags: int = 0
) -> None:
    """Attach a detached mount, or move one; an empty path means the descriptor itself. move_mount(2), Linux 5.2."""
    flags |= 0 if from_path else MOVE_MOUNT_F_EMPTY_PATH
    flags |= 0 if to_path else MOVE_MOUNT_T_EMPTY_PATH
    subject = f"{shown(from_path)} to {shown(to_path)}".strip()
    _move_mount(from_fd, c_text(from_path), to_fd, c_text(to_path), flags, subject=subject)


def mount_setattr(
    dirfd: int,
    path: PathLike = "",
    *,
    attr_set: int = 0,
    attr_clr: int = 0,
    propagation: int = 0,
    userns_fd: int | None = None,
    recursive: bool = False,
) -> None:
    """Change attributes, propagation (MS_PRIVATE, …) or the id map of a mount; mount_setattr(2), Linux 5.12.

    An empty path means `dirfd` itself; a link at the end of the path is not followed. With `userns_fd` the mount,
    which must be detached and not yet mapped, gets that user namespace's id map (MOUNT_ATTR_IDMAP).
    """
    attributes = mount_attr(attr_set, attr_clr, propagation, 0)
    if userns_fd is not None:
        attributes.attr_set |= MOUNT_ATTR_IDMAP
        attributes.userns_fd = userns_fd
    flags = AT_SYMLINK_NOFOLLOW | (0 if path else AT_EMPTY_PATH) | (AT_RECURSIVE if recursive else 0)
    size = ctypes.sizeof(attributes)
    _mount_setattr(dirfd, c_text(path), flags, ctypes.addressof(attributes), size, subject=shown(path))


def fsopen(fstype: str) -> int:
    """A descriptor, owned by the caller, to configure a new `fstype` with; fsopen(2), Linux 5.2."""
    return _fsopen(c_text(fstype), FSOPEN_CLOEXEC, subject=fstype)


def fsconfig_string(fd: int, key: str, value: PathLike) -> None:
    """Set the option `key`=`value`; fsconfig(2), Linux 5.2. The kernel takes at most 255 bytes of value."""
    _configure(fd, FSCONFIG_SET_STRING, key, c_text(value))


def fsconfig_flag(fd: int, key: str) -> None:
    """Set the option `key`, which has no value; fsconfig(2), Linux 5.2."""
    _configure(fd, FSCONFIG_SET_FLAG, key)


def fsconfig_create(fd: int) -> None:
    """Make the file system that was configured; fsconfig(2), Linux 5.2."""
    _configure(fd, FSCONFIG_CMD_CREATE)


def fsmount(fsfd: int, attrs: int = 0) -> int:
    """A detached mount, owned by the caller, of the file system made; fsmount(2), Linux 5.2."""
    return _fsmount(fsfd, FSMOUNT_CLOEXEC, attrs)


def fs_magic(fd: int) -> int:
    """The kind of file system that `fd` is on (TMPFS_MAGIC, …); fstatfs(2), which statvfs(3) does not tell."""
    buffer = statfs()
    _fstatfs(fd, ctypes.addressof(buffer))
    return int(buffer.f_type)


def mount_id(fd: int) -> int:
    """The number of the mount that `fd` is on, as in mountinfo; proc_pid_fdinfo(5), Linux 3.15."""
    with open(f"/proc/self/fdinfo/{fd}", "rb", buffering=0) as file:
        fields = dict(line.split(b":", 1) for line in (file.readall() or b"").splitlines())
    return int(fields[b"mnt_id"])


def _configure(fd: int, command: int, key: str | None = None, value: bytes | None = None) -> None:
    try:
        _fsconfig(fd, command, c_text_or_null(key), value, 0)
    except SyscallError as error:
        said = "; ".join(filter(None, [key or "", *_kernel_messages(fd)]))
        raise SyscallError("fsconfig", error.errno, said) from error


def _kernel_messages(fd: int) -> list[str]:
    """What the file system wrote into its context: lines such as "e overlay: …"."""
    messages: list[str] = []
    while len(messages) < 8:
        try:
            messages.append(os.read(fd, 4096).decode(errors="replace").strip()[2:])
        except OSError:  # ENODATA: no more
            break
    return messages
