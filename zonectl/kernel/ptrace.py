"""ptrace(2), and reading by it what /proc does not tell of another process."""

from __future__ import annotations

import ctypes
import errno
import os
import time
from contextlib import contextmanager
from ctypes import c_long, c_void_p
from typing import TYPE_CHECKING, Final

from zonectl.errors import SyscallError
from zonectl.kernel import inquiry
from zonectl.kernel.libc import SystemCall

if TYPE_CHECKING:
    from collections.abc import Iterator

PTRACE_DETACH: Final = 17
PTRACE_SEIZE: Final = 0x4206
PTRACE_INTERRUPT: Final = 0x4207
PTRACE_SECCOMP_GET_FILTER: Final = 0x420C
PTRACE_EVENT_STOP: Final = 128

STOP_S: Final = 5.0
"""How long a process may take to stop: one in an uninterruptible call may never."""

INSTRUCTION_BYTES: Final = 8
"""Of `struct sock_filter`."""

WALL: Final = 0x40000000
"""waitpid(2): children that clone(2) made, too."""
_PAUSE_S: Final = 0.0002

request = SystemCall("ptrace", c_long, c_long, c_void_p, c_void_p)


def first_seccomp_filter(pid: int) -> bytes:
    """The oldest seccomp filter of the process `pid`, as `struct sock_filter`s; PTRACE_SECCOMP_GET_FILTER, Linux 4.4.

    The process is stopped for it, for less than a millisecond; a system call that it waits in is begun again, or ends
    with EINTR, as after any stop (signal(7)). A child of ours does it: its end lets the process go, whatever happens.

    Raises:
        SyscallError: EACCES, the caller lacks CAP_SYS_ADMIN or is under a filter itself; EPERM, it may not trace the
            process, or somebody else does; ENOENT or EINVAL, there is no filter; EIO, a kernel without
            CONFIG_CHECKPOINT_RESTORE; ETIMEDOUT, it does not stop; ESRCH, it has ended.

    """
    subject = f"PTRACE_SECCOMP_GET_FILTER of {pid}"
    return inquiry.ask(lambda: _read_filter(pid), call="ptrace", subject=subject)


def _read_filter(pid: int) -> bytes:
    with _stopped(pid):
        length = request(PTRACE_SECCOMP_GET_FILTER, pid, 0, None)
        program = ctypes.create_string_buffer(length * INSTRUCTION_BYTES)
        request(PTRACE_SECCOMP_GET_FILTER, pid, 0, ctypes.addressof(program))
        return program.raw


@contextmanager
def _stopped(pid: int) -> Iterator[None]:
    """Hold the process while the block runs. A signal that stopped it on the way is delivered afterwards.

    One that does not stop in time, or whose block fails, is let go when this process ends.
    """
    request(PTRACE_SEIZE, pid, None, None)
    request(PTRACE_INTERRUPT, pid, None, None)
    pending = _await_stop(pid)
    yield
    request(PTRACE_DETACH, pid, None, pending or None)


def _await_stop(pid: int) -> int:
    """Wait until the process has stopped: the signal that it is about to get, 0 for none."""
    deadline = time.monotonic() + STOP_S
    while True:
        found, status = os.waitpid(pid, os.WNOHANG | WALL)
        if found and os.WIFSTOPPED(status):
            return 0 if status >> 16 == PTRACE_EVENT_STOP else os.WSTOPSIG(status)
        if found:
            raise SyscallError("ptrace", errno.ESRCH)
        if time.monotonic() > deadline:
            raise SyscallError("ptrace", errno.ETIMEDOUT)
        time.sleep(_PAUSE_S)
