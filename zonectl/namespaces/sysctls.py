"""Writing settings of the zone's namespaces, by init before the zone's program runs.

Never through the zone's /proc, which a hostile root may have led elsewhere (CVE-2025-52881): in a procfs that is
mounted nowhere, by descriptor.
"""

from __future__ import annotations

import errno
import os

from zonectl.errors import HostLacks, SyscallError, ZonectlError
from zonectl.kernel import mount, path, process
from zonectl.namespaces.steps.sysctls import ATTRIBUTES, WriteSysctls
from zonectl.namespaces.trees import new_filesystem

_RESOLVE = path.RESOLVE_BENEATH | path.RESOLVE_NO_SYMLINKS | path.RESOLVE_NO_XDEV


def apply(step: WriteSysctls) -> None:
    """Write the settings of `step`.

    Raises:
        HostLacks: this kernel does not have one, or lets only the host's root set it.
        ZonectlError: the kernel refuses a value.
        SyscallError: something else failed.

    """
    if step.domain_name is not None:
        process.setdomainname(step.domain_name)
    if not step.files:
        return
    procfs = new_filesystem("proc", (), ATTRIBUTES)
    try:
        if mount.fs_magic(procfs) != mount.PROC_SUPER_MAGIC:
            raise SyscallError("fstatfs", errno.ENODEV, "not a procfs")
        for name, value in step.files:
            _write(procfs, name, value)
    finally:
        os.close(procfs)


def _write(procfs: int, name: str, value: str) -> None:
    key = name.removeprefix("sys/").replace("/", ".")
    try:
        setting = path.openat2(procfs, name, os.O_WRONLY, resolve=_RESOLVE)
    except SyscallError as error:
        raise _refused(key, error.errno) from error
    try:
        os.write(setting, value.encode())
    except OSError as error:
        raise _refused(key, error.errno or 0) from error
    finally:
        os.close(setting)


def _refused(key: str, number: int) -> ZonectlError:
    match number:
        case errno.ENOENT:
            return HostLacks(f"this kernel has no {key} for a zone", hint="remove it from [sysctl]")
        case errno.EACCES | errno.EPERM:
            return HostLacks(
                f"this kernel lets only the host's root set {key}", hint="remove it from [sysctl]"
            )
        case _:
            return ZonectlError(f"the kernel refuses the value of {key}: {os.strerror(number)}")
