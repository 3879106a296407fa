"""Writing the id maps of a user namespace."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from zonectl.errors import SyscallError

if TYPE_CHECKING:
    from zonectl.namespaces.steps.process import WriteIdMap


def apply(step: WriteIdMap, *, pid: int) -> None:
    """Write the map of the user namespace that process `pid` is in (user_namespaces(7); one write, once).

    Raises:
        SyscallError: EPERM when ids of the host are not ours to give, EINVAL when the map is not one.

    """
    path = f"/proc/{pid}/{step.kind}_map"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, step.text.encode())
        finally:
            os.close(descriptor)
    except OSError as error:
        raise SyscallError("write", error.errno or 0, path) from error
