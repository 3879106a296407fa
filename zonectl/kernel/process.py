"""Processes: the one fork, and what a process does to itself; ends of processes are in `ending`."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress
from ctypes import c_char_p, c_int, c_long, c_uint, c_uint64, c_ulong, c_void_p
from typing import TYPE_CHECKING, Any, Final

from zonectl.errors import SyscallError
from zonectl.kernel.attributes import (
    set_child_subreaper,
    set_dumpable,
    set_no_new_privs,
    setfsgid,
    setfsuid,
)
from zonectl.kernel.ending import ExitStatus, end_child, kill_and_reap, pidfd_exited, pidfd_info, wait_pidfd
from zonectl.kernel.libc import LIBC_HOLDING_GIL, SystemCall, c_text, failed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Of `attributes` and `ending`, for callers to whom all of it is about processes.
__all__ = [
    "ExitStatus",
    "end_child",
    "kill_and_reap",
    "pidfd_exited",
    "pidfd_info",
    "set_child_subreaper",
    "set_dumpable",
    "set_no_new_privs",
    "setfsgid",
    "setfsuid",
    "wait_pidfd",
]

CLONE_NEWTIME: Final = 0x00000080
CLONE_PIDFD: Final = 0x00001000
CLONE_NEWNS: Final = 0x00020000
CLONE_CHILD_CLEARTID: Final = 0x00200000
CLONE_CHILD_SETTID: Final = 0x01000000
CLONE_NEWCGROUP: Final = 0x02000000
CLONE_NEWUTS: Final = 0x04000000
CLONE_NEWIPC: Final = 0x08000000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWPID: Final = 0x20000000
CLONE_NEWNET: Final = 0x40000000
CLONE_INTO_CGROUP: Final = 0x200000000

EX_SOFTWARE: Final = 70
"""Exit status of a child of `spawn` whose function raised (sysexits.h)."""

PR_GET_TID_ADDRESS: Final = 40

SYS_CLONE3: Final = 435


class clone_args(ctypes.Structure):
    """`struct clone_args` of clone(2), as of Linux 5.7."""

    _fields_ = [
        (name, c_uint64)
        for name in (
            "flags",
            "pidfd",
            "child_tid",
            "parent_tid",
            "exit_signal",
            "stack",
            "stack_size",
            "tls",
            "set_tid",
            "set_tid_size",
            "cgroup",
        )
    ]


_clone3: Any = LIBC_HOLDING_GIL["syscall"]
_clone3.argtypes = (c_long, c_void_p, c_ulong)
_clone3.restype = c_long

# Looked up here and not in the child, where that would touch, and so copy, 43 more pages of memory.
_before_fork, _after_fork_parent, _after_fork_child = (
    ctypes.pythonapi[f"PyOS_{hook}"] for hook in ("BeforeFork", "AfterFork_Parent", "AfterFork_Child")
)
for _hook in (_before_fork, _after_fork_parent, _after_fork_child):
    _hook.argtypes, _hook.restype = (), None

_prctl = SystemCall("prctl", c_int, c_ulong, c_ulong, c_ulong, c_ulong)
_unshare = SystemCall("unshare", c_int)
_setns = SystemCall("setns", c_int, c_int)
_close_range = SystemCall("close_range", c_uint, c_uint, c_uint, number=436)
_sethostname = SystemCall("sethostname", c_char_p, c_ulong)
_setdomainname = SystemCall("setdomainname", c_char_p, c_ulong)


def clone(flags: int, *, cgroup_fd: int | None = None) -> tuple[int, int]:
    """Fork with new namespaces: (pid, pidfd) in the parent, who owns the pidfd; (0, -1) in the child.

    `flags` are the CLONE_NEW* wanted; with `cgroup_fd` the child is born in that group. clone(2); CLONE_INTO_CGROUP
    since Linux 5.7.

    The caller should be single-threaded: a lock that another thread holds is never released in the child, where the
    C library still remembers that thread (see `attributes.setgroups`). Handlers of pthread_atfork(3) are not run.

    Raises:
        SyscallError: clone3.

    """
    pidfd = c_int(-1)
    arguments = _clone_arguments(flags, pidfd, cgroup_fd=cgroup_fd)
    address, size = ctypes.addressof(arguments), ctypes.sizeof(arguments)
    # The hooks keep the interpreter's locks and threads right; the GIL is held from the first to the last.
    _before_fork()
    pid: int = _clone3(SYS_CLONE3, address, size)
    if pid == 0:
        _after_fork_child()
        return 0, -1
    errno = ctypes.get_errno()
    _after_fork_parent()
    if pid < 0:
        raise SyscallError("clone3", errno, f"flags {flags:#x}")
    return pid, pidfd.value


def _clone_arguments(flags: int, pidfd: c_int, *, cgroup_fd: int | None) -> clone_args:
    arguments = clone_args(flags=flags | CLONE_PIDFD, pidfd=ctypes.addressof(pidfd))
    if cgroup_fd is not None:
        arguments.flags |= CLONE_INTO_CGROUP
        arguments.cgroup = cgroup_fd
    arguments.exit_signal = signal.SIGCHLD
    # The C library caches the thread's id, and a raw clone3 leaves the parent's there. Like its own fork, have the
    # kernel write the new one at the address that the C library registered when the thread was made.
    if (address := _thread_id_address()) is not None:
        arguments.flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID
        arguments.child_tid = address
    return arguments


def _thread_id_address() -> int | None:
    """Where the C library caches the thread's id; None without CONFIG_CHECKPOINT_RESTORE.

    Without it the cache stays stale, which is harmless in a single-threaded process: it owns recursive mutexes
    under a constant name, and raise(3) asks the kernel since glibc 2.34.
    """
    address = c_void_p()
    try:
        _prctl(PR_GET_TID_ADDRESS, ctypes.addressof(address), 0, 0, 0)
    except SyscallError:
        return None
    return address.value


def fork() -> tuple[int, int]:
    """`clone` without new namespaces."""
    return clone(0)


def spawn(function: Callable[[], int], *, flags: int = 0) -> tuple[int, int]:
    """Run `function` in a forked child, which exits with its result: the child's (pid, pidfd).

    `flags` are the CLONE_NEW* that the child is born with.
    The child never returns from here: what `function` raises goes to standard error, and the status is 70.
    """
    _flush()  # or the child would write it again
    pid, pidfd = clone(flags)
    if pid == 0:
        _run_and_exit(function)
    return pid, pidfd


def _run_and_exit(function: Callable[[], int]) -> None:
    status = EX_SOFTWARE
    try:
        status = function()
    except BaseException:  # noqa: BLE001 - a process ends here; even SystemExit must not unwind into the parent's frames
        sys.excepthook(*sys.exc_info())
    finally:
        _flush()
        os._exit(status)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):  # there is none, nobody reads it, it is closed
            stream.flush()


def unshare(flags: int) -> None:
    """Leave namespaces for new ones; unshare(2), Linux 2.6.16."""
    _unshare(flags, subject=f"flags {flags:#x}")


def setns(fd: int, flags: int = 0) -> None:
    """Enter the namespace of `fd`, or those `flags` name of the process of a pidfd; setns(2), pidfds since 5.8."""
    _setns(fd, flags, subject=f"flags {flags:#x}")


def pidfd_open(pid: int) -> int:
    """A descriptor of the process `pid`, closed on exec, owned by the caller; pidfd_open(2), Linux 5.3."""
    try:
        return os.pidfd_open(pid)
    except OSError as error:
        raise failed("pidfd_open", error, f"pid {pid}") from error


def pidfd_send_signal(pidfd: int, sig: int) -> None:
    """Send `sig` to the process of `pidfd`; pidfd_send_signal(2), Linux 5.1."""
    try:
        signal.pidfd_send_signal(pidfd, sig)
    except OSError as error:
        raise failed("pidfd_send_signal", error, f"signal {sig}") from error


def close_range(first: int, last: int = 0xFFFFFFFF) -> None:
    """Close the descriptors `first` to `last`; close_range(2), Linux 5.9."""
    _close_range(first, last, 0, subject=f"{first}-{last}")


def close_all_but(kept: Iterable[int], *, first: int = 0) -> None:
    """Close every descriptor from `first` on but those in `kept`, however high; close_range(2), Linux 5.9."""
    for fd in sorted(fd for fd in set(kept) if fd >= first):
        if fd > first:
            close_range(first, fd - 1)
        first = fd + 1
    close_range(first)


def sethostname(name: str) -> None:
    """Set the host name of the UTS namespace; sethostname(2)."""
    raw = c_text(name, call="sethostname")
    _sethostname(raw, len(raw), subject=name)


def setdomainname(name: str) -> None:
    """Set the NIS domain name of the UTS namespace; setdomainname(2)."""
    raw = c_text(name, call="setdomainname")
    _setdomainname(raw, len(raw), subject=name)
