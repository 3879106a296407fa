"""Files that are nowhere but in memory: memfd_create(2)."""

from __future__ import annotations

import os

from zonectl.errors import SyscallError


def memory_file(name: str, content: bytes) -> int:
    """A descriptor of a new file in memory that holds `content`, closed on execve; for the caller to own.

    Raises:
        SyscallError: memfd_create, write.

    """
    try:
        memory = os.memfd_create(name, os.MFD_CLOEXEC)
    except OSError as error:
        raise SyscallError("memfd_create", error.errno or 0, name) from error
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(memory, rest) :]
    except OSError as error:
        os.close(memory)
        raise SyscallError("write", error.errno or 0, name) from error
    return memory
