"""Attributes of the calling thread: prctl(2), capabilities(7), file-system ids."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from ctypes import c_char_p, c_int, c_size_t, c_uint, c_ulong, c_void_p
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from zonectl.errors import SyscallError
from zonectl.kernel.libc import LIBC, SystemCall

if TYPE_CHECKING:
    from collections.abc import Sequence

PR_SET_PDEATHSIG: Final = 1
PR_GET_DUMPABLE: Final = 3
PR_SET_DUMPABLE: Final = 4
PR_SET_CHILD_SUBREAPER: Final = 36
PR_SET_NO_NEW_PRIVS: Final = 38
PR_GET_NO_NEW_PRIVS: Final = 39


_HEADER: Final = struct.pack("=Ii", 0x20080522, 0)
"""`struct __user_cap_header_struct`: _LINUX_CAPABILITY_VERSION_3, this thread."""
_HALVES: Final = struct.Struct("=6I")
"""Two of `struct __user_cap_data_struct`: effective, permitted and inheritable, of 32 capabilities each."""
_NO_ID: Final = 0xFFFFFFFF

_NUMBERS: Final = {"x86_64": (116, 117, 119, 13)}
_NUMBERS_ELSEWHERE: Final = (159, 147, 149, 134)
"""Of setgroups, setresuid, setresgid, rt_sigaction: asm/unistd_64.h, and asm-generic/unistd.h (aarch64, riscv64)."""

_setgroups_number, _setresuid_number, _setresgid_number, _rt_sigaction_number = _NUMBERS.get(
    os.uname().machine, _NUMBERS_ELSEWHERE
)
_setgroups = SystemCall("setgroups", c_size_t, c_void_p, number=_setgroups_number)
_setresuid = SystemCall("setresuid", c_uint, c_uint, c_uint, number=_setresuid_number)
_setresgid = SystemCall("setresgid", c_uint, c_uint, c_uint, number=_setresgid_number)
_rt_sigaction = SystemCall("rt_sigaction", c_uint, c_void_p, c_void_p, c_size_t, number=_rt_sigaction_number)
_prctl = SystemCall("prctl", c_int, c_ulong, c_ulong, c_ulong, c_ulong)
_capget = SystemCall("capget", c_char_p, c_void_p)
_capset = SystemCall("capset", c_char_p, c_char_p)
_setfsuid = LIBC["setfsuid"]
_setfsgid = LIBC["setfsgid"]
_setfsuid.argtypes = _setfsgid.argtypes = (c_uint,)
_setfsuid.restype = _setfsgid.restype = c_uint


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Three sets of capabilities(7) as masks: bit n is capability n."""

    effective: int
    permitted: int
    inheritable: int


def set_child_subreaper() -> None:
    """Become the parent of descendants whose parent ends; PR_SET_CHILD_SUBREAPER, Linux 3.4."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0, subject="PR_SET_CHILD_SUBREAPER")


def set_dumpable(on: bool) -> None:  # noqa: FBT001 - the kernel's own argument
    """Whether others may trace us and open /proc/self's links; PR_SET_DUMPABLE, Linux 2.3.20."""
    _prctl(PR_SET_DUMPABLE, int(on), 0, 0, 0, subject="PR_SET_DUMPABLE")


def dumpable() -> bool:
    """Whether `set_dumpable` is on; PR_GET_DUMPABLE."""
    return _prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1


def set_no_new_privs() -> None:
    """Gain nothing by exec from now on, for good; PR_SET_NO_NEW_PRIVS, Linux 3.5."""
    _prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, subject="PR_SET_NO_NEW_PRIVS")


def no_new_privs() -> bool:
    """Whether `set_no_new_privs` was done; PR_GET_NO_NEW_PRIVS."""
    return _prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1


def set_pdeathsig(sig: int) -> None:
    """Get `sig` when the parent thread ends (0: none); PR_SET_PDEATHSIG, Linux 2.1.57."""
    _prctl(PR_SET_PDEATHSIG, sig, 0, 0, 0, subject="PR_SET_PDEATHSIG")


def capget() -> Capabilities:
    """The calling thread's capabilities; capget(2), version 3 since Linux 2.6.26."""
    halves = ctypes.create_string_buffer(_HALVES.size)
    _capget(_HEADER, ctypes.addressof(halves))
    low, high = _HALVES.unpack(halves.raw)[:3], _HALVES.unpack(halves.raw)[3:]
    return Capabilities(*(each | more << 32 for each, more in zip(low, high, strict=True)))


def capset(effective: int, permitted: int, inheritable: int) -> None:
    """Set the calling thread's capabilities; capset(2), version 3 since Linux 2.6.26."""
    sets = (effective, permitted, inheritable)
    # Packed: in a new child the types of ctypes cost 0.3 ms, most of it for pages that it has to copy.
    halves = _HALVES.pack(*(each & _NO_ID for each in sets), *(each >> 32 for each in sets))
    _capset(_HEADER, halves, subject=f"{effective:#x}/{permitted:#x}")


def setgroups(groups: Sequence[int]) -> None:
    """Set the calling thread's supplementary groups; setgroups(2).

    This one, setresuid and setresgid go by number. The C library's of that name pass the change on to its other
    threads, and wait for them: for ever in a child of `process.clone`, if its parent had a second thread, which the
    child does not have but the C library remembers.
    """
    array = (c_uint * len(groups))(*groups)
    _setgroups(len(groups), ctypes.addressof(array), subject=" ".join(map(str, groups)))


def reset_own_signals() -> None:
    """Give signals 32 and 33 their default again; rt_sigaction(2).

    The C library keeps them for itself and hides them from sigaction(3), but its posix_spawn(3) leaves 32 ignored in
    what it starts, and an ignored signal stays so over every execve.
    """
    # struct kernel_sigaction: handler (SIG_DFL is 0), flags, restorer, and a mask of 8 bytes.
    default = (ctypes.c_uint64 * 4)()
    for number in (32, 33):
        _rt_sigaction(number, ctypes.addressof(default), None, 8)


def setresuid(ruid: int, euid: int, suid: int) -> None:
    """Set the calling thread's real, effective and saved user ids, -1 for those that stay; setresuid(2)."""
    _setresuid(ruid, euid, suid, subject=f"{ruid} {euid} {suid}")


def setresgid(rgid: int, egid: int, sgid: int) -> None:
    """Set the calling thread's real, effective and saved group ids, -1 for those that stay; setresgid(2)."""
    _setresgid(rgid, egid, sgid, subject=f"{rgid} {egid} {sgid}")


def setfsuid(uid: int) -> int:
    """Act on files as user `uid`: the id before. setfsuid(2), which itself never says that it failed.

    Raises:
        SyscallError: EPERM, the id did not change.

    """
    before = int(_setfsuid(uid))
    if _setfsuid(_NO_ID) != uid:
        raise SyscallError("setfsuid", errno.EPERM, str(uid))
    return before


def setfsgid(gid: int) -> int:
    """Act on files as group `gid`: the id before. setfsgid(2), which itself never says that it failed.

    Raises:
        SyscallError: EPERM, the id did not change.

    """
    before = int(_setfsgid(gid))
    if _setfsgid(_NO_ID) != gid:
        raise SyscallError("setfsgid", errno.EPERM, str(gid))
    return before
