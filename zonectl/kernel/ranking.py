"""What ranks a process among others and is not in the standard library: ioprio_set(2); and its session keyring."""

from __future__ import annotations

import os
from ctypes import c_int, c_long, c_void_p
from typing import Final

from zonectl.kernel.libc import SystemCall

IOPRIO_WHO_PROCESS: Final = 1
IOPRIO_CLASS_NONE: Final = 0
KEYCTL_JOIN_SESSION_KEYRING: Final = 1

_NUMBERS: Final = {"x86_64": (251, 250)}
_NUMBERS_ELSEWHERE: Final = (30, 219)
"""Of ioprio_set and keyctl: asm/unistd_64.h, and asm-generic/unistd.h (aarch64, riscv64)."""

_ioprio_set_number, _keyctl_number = _NUMBERS.get(os.uname().machine, _NUMBERS_ELSEWHERE)
_ioprio_set = SystemCall("ioprio_set", c_int, c_int, c_int, number=_ioprio_set_number)
_keyctl = SystemCall("keyctl", c_int, c_void_p, c_long, c_long, c_long, number=_keyctl_number)


def reset_ioprio(pid: int) -> None:
    """Let the process (0: this one) have no I/O priority of its own, as at its birth; ioprio_set(2), Linux 2.6.13."""
    _ioprio_set(IOPRIO_WHO_PROCESS, pid, IOPRIO_CLASS_NONE, subject=f"pid {pid}")


def join_session_keyring() -> None:
    """Begin an anonymous session keyring of this process and its children alone; keyctl(2), session-keyring(7).

    Raises:
        SyscallError: EDQUOT, the user's keys have reached their quota; ENOSYS, the kernel has no keys.

    """
    _keyctl(KEYCTL_JOIN_SESSION_KEYRING, None, 0, 0, 0, subject="KEYCTL_JOIN_SESSION_KEYRING")
