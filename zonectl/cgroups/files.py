"""The files of a group: one text read, one text written."""

from __future__ import annotations

import os
from errno import ENODEV, ENOENT, EOPNOTSUPP

from zonectl.errors import SyscallError

_NOT_THERE = frozenset({ENOENT, ENODEV, EOPNOTSUPP})


def write(path: str, text: str) -> None:
    """Put `text` into the kernel's file at `path`, in one call.

    Raises:
        SyscallError: the file is not there, or the kernel refuses the text.

    """
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except OSError as error:
        raise SyscallError("open", error.errno or 0, path) from error
    try:
        os.write(fd, text.encode())
    except OSError as error:
        raise SyscallError("write", error.errno or 0, f"{path} ({text.strip()})") from error
    finally:
        os.close(fd)


def read(path: str, *, dir_fd: int | None = None) -> str | None:
    """What the kernel's file at `path` says.

    None where the file or its group is not there (ENOENT, ENODEV), or says nothing in this kind of group or on this
    boot (EOPNOTSUPP: cgroup.procs of a threaded group, pressure with psi=0).

    Raises:
        SyscallError: any other failure.

    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=dir_fd)
        try:
            return read_open(fd)
        finally:
            os.close(fd)
    except OSError as error:
        if error.errno in _NOT_THERE:
            return None
        raise SyscallError("read", error.errno or 0, path) from error


def read_open(fd: int) -> str:
    """All that the open file `fd` says now; the caller keeps `fd`.

    Raises:
        OSError: as pread(2); ENODEV where the group is gone.

    """
    parts = []
    offset = 0
    while part := os.pread(fd, 65536, offset):
        parts.append(part)
        offset += len(part)
    return b"".join(parts).decode(errors="surrogateescape")


def table(text: str) -> dict[str, int]:
    """The numbers of a flat keyed file (`populated 1`, a line each), by name; lines of another kind are left out."""
    pairs = (line.split(" ") for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}  # noqa: PLR2004


def number(text: str | None) -> int | None:
    """The number that a single-value file says; None where there is none (no file, or `max`)."""
    stripped = (text or "").strip()
    return int(stripped) if stripped.isdecimal() else None
