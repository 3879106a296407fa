"""A process that only waits: it lends the namespaces that it was born with to others, who enter them by its pidfd."""

from __future__ import annotations

import ctypes
import signal
from ctypes import c_char, c_char_p, c_int, c_void_p
from typing import Final

from zonectl.kernel.libc import LIBC, SystemCall
from zonectl.kernel.process import CLONE_PIDFD

CLONE_VM: Final = 0x00000100
STACK_BYTES: Final = 1 << 13

_SIGSET_BYTES: Final = 128  # of the C library's sigset_t
_EVERY_SIGNAL: Final = b"\xff" * _SIGSET_BYTES

# Made here, once: the first use in a fork copies pages, and Python's own constants of signals are slow to combine.
_FLAGS: Final = CLONE_VM | CLONE_PIDFD | int(signal.SIGCHLD)
_BLOCK, _SET_MASK = int(signal.SIG_BLOCK), int(signal.SIG_SETMASK)
_Stack = c_char * STACK_BYTES

_pause: Final = ctypes.cast(LIBC["pause"], c_void_p)
_clone = SystemCall("clone", c_void_p, c_void_p, c_int, c_void_p, c_void_p)
_sigprocmask = SystemCall("sigprocmask", c_int, c_char_p, c_char_p)


class IdleProcess:
    """A child in the new namespaces `flags` (CLONE_NEW*) that only waits to be killed; the holder owns `pidfd`.

    It shares this process's memory, which spares copying its page tables (a fork of this interpreter costs a
    millisecond, this 0.1), and so runs nothing but the C library's pause(2), on a stack of its own, with every signal
    blocked: no handler of the interpreter's can run in it. Ptrace permissions on it are those on this process. This
    object holds its stack, and must be kept until it has been killed and reaped. clone(2).

    Raises:
        SyscallError: clone.

    """

    __slots__ = ("_stack", "pidfd")

    def __init__(self, flags: int) -> None:
        self._stack = _Stack()
        pidfd, before = c_int(-1), bytes(_SIGSET_BYTES)
        _sigprocmask(_BLOCK, _EVERY_SIGNAL, before)
        try:
            flags |= _FLAGS
            top = ctypes.addressof(self._stack) + STACK_BYTES
            _clone(_pause, top, flags, None, ctypes.addressof(pidfd), subject=f"flags {flags:#x}")
        finally:
            _sigprocmask(_SET_MASK, before, None)
        self.pidfd = pidfd.value
