"""Loading system call filters: seccomp(2)."""

from __future__ import annotations

import ctypes
import os
import struct
from ctypes import c_uint, c_void_p
from typing import Final

from zonectl.kernel.libc import SystemCall

SECCOMP_SET_MODE_FILTER: Final = 1
SECCOMP_GET_NOTIF_SIZES: Final = 3

_FPROG: Final = struct.Struct("@HP")
"""`struct sock_fprog`: the number of instructions, and where they are (linux/filter.h)."""
_INSTRUCTION_BYTES: Final = 8

_seccomp = SystemCall(
    "seccomp", c_uint, c_uint, c_void_p, number=317 if os.uname().machine == "x86_64" else 277
)


def set_mode_filter(program: bytes, *, flags: int = 0) -> int:
    """Have every later call of this thread and its children pass `program`, an array of struct sock_filter, for good.

    The result is 0, or the descriptor that `flags` ask for (SECCOMP_FILTER_FLAG_NEW_LISTENER), closed on exec.
    Needs no_new_privs, or CAP_SYS_ADMIN in the thread's user namespace. SECCOMP_SET_MODE_FILTER, Linux 3.17.

    A zone's filter has no flags: TSYNC is for processes with threads. SPEC_ALLOW would waive the mitigation of
    Speculative Store Bypass where the administrator has asked for it in processes with a filter
    (spec_store_bypass_disable=seccomp, the default before Linux 5.16): what runs here is what it is meant for. LOG
    would let a zone write to the host's audit log.

    Raises:
        SyscallError: seccomp; EINVAL for a program that the kernel refuses, EACCES without the right to load one.

    """
    instructions = ctypes.create_string_buffer(program, len(program))
    fprog = ctypes.create_string_buffer(
        _FPROG.pack(len(program) // _INSTRUCTION_BYTES, ctypes.addressof(instructions))
    )
    return _seccomp(
        SECCOMP_SET_MODE_FILTER, flags, ctypes.addressof(fprog), subject="SECCOMP_SET_MODE_FILTER"
    )


def notification_sizes() -> tuple[int, int, int]:
    """How many bytes the kernel's notification, response and data take; SECCOMP_GET_NOTIF_SIZES, Linux 5.0."""
    sizes = (ctypes.c_uint16 * 3)()
    _seccomp(SECCOMP_GET_NOTIF_SIZES, 0, ctypes.addressof(sizes), subject="SECCOMP_GET_NOTIF_SIZES")
    notif, response, data = sizes
    return notif, response, data
