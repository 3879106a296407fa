"""Loading system call filters: seccomp(2)."""

from __future__ import annotations

import ctypes
import os
import struct
from ctypes import c_uint, c_void_p
from typing import Final

from zonectl.kernel.libc import SystemCall

SECCOMP_SET_MODE_FILTER: Final = 1

_FPROG: Final = struct.Struct("@HP")
"""`struct sock_fprog`: the number of instructions, and where they are (linux/filter.h)."""
_INSTRUCTION_BYTES: Final = 8

_seccomp = SystemCall(
    "seccomp", c_uint, c_uint, c_void_p, number=317 if os.uname().machine == "x86_64" else 277
)


def set_mode_filter(program: bytes) -> None:
    """Have every later call of this thread and its children pass `program`, an array of struct sock_filter, for good.

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
    _seccomp(SECCOMP_SET_MODE_FILTER, 0, ctypes.addressof(fprog), subject="SECCOMP_SET_MODE_FILTER")
