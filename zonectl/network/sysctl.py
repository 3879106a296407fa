"""Settings of the network namespace that the calling thread is in: files below /proc/sys/net."""

from __future__ import annotations

import os

from zonectl.errors import SyscallError

IPV6 = "/proc/sys/net/ipv6"
"""Which a kernel without IPv6 lacks."""
_VALUE_BYTES = 64


def read(path: str) -> str:
    """The setting's value, without its line end.

    Raises:
        SyscallError: open(2) or read(2); ENOENT where the kernel, or the link, lacks it.

    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(fd, _VALUE_BYTES).decode().strip()
        finally:
            os.close(fd)
    except OSError as error:
        raise SyscallError("read", error.errno or 0, path) from error


def write(path: str, value: str) -> None:
    """Set it.

    Raises:
        SyscallError: open(2) or write(2).

    """
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, value.encode())
        finally:
            os.close(fd)
    except OSError as error:
        raise SyscallError("write", error.errno or 0, path) from error


def has_ipv6() -> bool:
    """Whether the kernel was built or started with IPv6."""
    return os.path.exists(IPV6)
