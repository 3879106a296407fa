"""Being told of every system call of other processes: ptrace(2) over a filter that says SECCOMP_RET_TRACE.

The answer is always "go on". That records calls and decides nothing: between the question and the call another process
may change what the pointers point to. A signal waits until the call that waits for its tracer is begun; a process whose
tracer has ended is killed, and one that was never seized fails at every call, with ENOSYS.

What tracing changes: signals that are ignored wake a process as others do, so that a call which no handler would begin
anew (epoll_wait(2), sigtimedwait(2), those of sockets with a time limit) may end with EINTR, and others are made again
as restart_syscall (ptrace(2), BUGS; signal(7)).
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from zonectl.errors import SyscallError
from zonectl.kernel import ptrace

if TYPE_CHECKING:
    from collections.abc import Callable

PTRACE_CONT: Final = 7
PTRACE_LISTEN: Final = 0x4208
PTRACE_GET_SYSCALL_INFO: Final = 0x420E

PTRACE_O_TRACEFORK: Final = 1 << 1
PTRACE_O_TRACEVFORK: Final = 1 << 2
PTRACE_O_TRACECLONE: Final = 1 << 3
PTRACE_O_TRACEEXEC: Final = 1 << 4
PTRACE_O_TRACESECCOMP: Final = 1 << 7
PTRACE_O_EXITKILL: Final = 1 << 20

PTRACE_EVENT_EXEC: Final = 4
PTRACE_EVENT_SECCOMP: Final = 7

_OPTIONS: Final = (
    PTRACE_O_TRACEFORK
    | PTRACE_O_TRACEVFORK
    | PTRACE_O_TRACECLONE
    | PTRACE_O_TRACEEXEC
    | PTRACE_O_TRACESECCOMP
    | PTRACE_O_EXITKILL
)
_STOPPING: Final = frozenset((signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU))
_INFO: Final = struct.Struct("=B3xIQQ7QI4x")
"""`struct ptrace_syscall_info` with its member `seccomp`."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of thread `tid` (in our pid namespace): its number in `arch` (AUDIT_ARCH_*), and its arguments."""

    tid: int
    number: int
    arch: int
    arguments: tuple[int, ...]


def seize(pid: int) -> None:
    """Become the tracer of the process `pid`, of one thread, which goes on, and of all that it starts from now on.

    They are killed when this process ends. PTRACE_SEIZE, Linux 3.4; PTRACE_O_EXITKILL, Linux 3.8.

    Raises:
        SyscallError: EPERM, it may not be traced, or is by somebody else; ESRCH, it has ended.

    """
    ptrace.request(ptrace.PTRACE_SEIZE, pid, None, _OPTIONS, subject=str(pid))


def follow(init: int, *, called: Callable[[Call], None], executed: Callable[[], None]) -> None:
    """Let all that is traced go on, until the last process has ended.

    `called` is told of each call before it is made: again where a signal had it begin anew, and not where a filter of
    the process's refuses it or asks a listener of its own (seccomp(2), precedence). `executed` is told of each execve
    before the first instruction of the program. Signals are delivered, and what stops a process leaves it stopped; but
    `init`, a process 1, is not stopped by SIGSTOP, which the kernel spares one that nobody traces.
    PTRACE_GET_SYSCALL_INFO, Linux 5.3.

    This process must have no other children: their ends are taken as well.

    Raises:
        SyscallError: ptrace.

    """
    while True:
        try:
            tid, status = os.waitpid(-1, ptrace.WALL)
        except ChildProcessError:
            return
        if not os.WIFSTOPPED(status):
            continue
        spared = tid == init and status >> 8 == signal.SIGSTOP
        try:
            _go_on(tid, 0 if spared else status, called, executed)
        except SyscallError as error:
            if error.errno != errno.ESRCH:  # killed where it stood
                raise


def _go_on(tid: int, status: int, called: Callable[[Call], None], executed: Callable[[], None]) -> None:
    number, event = os.WSTOPSIG(status), status >> 16
    going, delivered = PTRACE_CONT, 0
    if event == PTRACE_EVENT_SECCOMP:
        called(_call(tid))
    elif event == PTRACE_EVENT_EXEC:
        executed()
    elif event == ptrace.PTRACE_EVENT_STOP and number in _STOPPING:
        going = PTRACE_LISTEN  # it stays stopped until SIGCONT
    elif event == 0:
        delivered = number
    ptrace.request(going, tid, None, delivered or None)


def _call(tid: int) -> Call:
    raw = ctypes.create_string_buffer(_INFO.size)
    ptrace.request(PTRACE_GET_SYSCALL_INFO, tid, _INFO.size, ctypes.addressof(raw))
    _op, arch, _at, _stack, number, *arguments, _data = _INFO.unpack(raw.raw)
    return Call(tid, number & 0xFFFFFFFF, arch, tuple(arguments))
