"""Being asked about every system call of other processes: seccomp_unotify(2).

The answer is always "go on" (SECCOMP_USER_NOTIF_FLAG_CONTINUE). That records calls and decides nothing: between the
question and the call the process may change what its pointers point to. Where nobody listens any more, every call
fails with ENOSYS.
"""

from __future__ import annotations

import errno
import fcntl
import select
import struct
from ctypes import c_uint
from dataclasses import dataclass
from typing import Final

from zonectl.errors import SyscallError
from zonectl.kernel import seccomp
from zonectl.kernel.libc import SystemCall, failed

SECCOMP_FILTER_FLAG_NEW_LISTENER: Final = 1 << 3
SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: Final = 1 << 5
SECCOMP_RET_USER_NOTIF: Final = 0x7FC00000
SECCOMP_USER_NOTIF_FLAG_CONTINUE: Final = 1
SECCOMP_IOCTL_NOTIF_RECV: Final = 0xC0502100
SECCOMP_IOCTL_NOTIF_SEND: Final = 0xC0182101
"""_IOWR('!', 0, struct seccomp_notif) and _IOWR('!', 1, struct seccomp_notif_resp) with their first sizes."""

_BPF_RET_K: Final = 0x06
_INSTRUCTION: Final = struct.Struct("=HBBI")
_NOTIF: Final = struct.Struct("=QIIiIQ6Q")
_RESPONSE: Final = struct.Struct("=QqiI")

_EVERY_CALL: Final = _INSTRUCTION.pack(_BPF_RET_K, 0, 0, SECCOMP_RET_USER_NOTIF)

_pidfd_getfd = SystemCall("pidfd_getfd", c_uint, c_uint, c_uint, number=438)


@dataclass(frozen=True, slots=True)
class Notification:
    """One call of process `pid` (in our pid namespace): its number in `arch` (AUDIT_ARCH_*), and its arguments."""

    id: int
    pid: int
    number: int
    arch: int
    arguments: tuple[int, ...]


def sizes_fit() -> bool:
    """Whether the kernel's structures are no larger than our buffers, past the end of which it would write."""
    notif, response, _data = seccomp.notification_sizes()
    return notif <= _NOTIF.size and response <= _RESPONSE.size


def listen() -> int:
    """Have every later call of this thread and of its children wait for a listener: its descriptor, closed on exec.

    From here on the caller is stopped at its next call until somebody who holds a copy of the descriptor answers; its
    own copy keeps it waiting, if nobody does, until it executes a program.
    Needs no_new_privs or CAP_SYS_ADMIN. seccomp(2), Linux 5.0, going on since 5.5. Since 5.19 a call that has been
    heard of is not begun anew for a signal, and so not heard of twice.

    Raises:
        SyscallError: seccomp; EBUSY where the thread has a filter with a listener already.

    """
    try:
        return seccomp.set_mode_filter(
            _EVERY_CALL,
            flags=SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
        )
    except SyscallError as error:
        if error.errno != errno.EINVAL:
            raise
        return seccomp.set_mode_filter(_EVERY_CALL, flags=SECCOMP_FILTER_FLAG_NEW_LISTENER)


def fetch(pidfd: int, number: int) -> int | None:
    """A copy of the descriptor `number` of the process of `pidfd`, closed on exec; None where it has none.

    pidfd_getfd(2), Linux 5.6: needs the right to trace the process.
    """
    try:
        return _pidfd_getfd(pidfd, number, 0, subject=f"descriptor {number}")
    except SyscallError as error:
        if error.errno == errno.EBADF:
            return None
        raise


def receive(listener: int) -> Notification | None:
    """The next call that waits for an answer; None where whoever made it was killed or interrupted meanwhile.

    Blocks while there is none: see `waiting`.
    """
    raw = bytearray(_NOTIF.size)
    try:
        _ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, raw)
    except OSError as error:
        if error.errno == errno.ENOENT:
            return None
        raise failed("SECCOMP_IOCTL_NOTIF_RECV", error) from error
    identifier, pid, _flags, number, arch, _address, *arguments = _NOTIF.unpack(raw)
    return Notification(identifier, pid, number, arch, tuple(arguments))


def let_go_on(listener: int, identifier: int) -> None:
    """Have the kernel carry the call `identifier` out; fine where whoever made it is gone."""
    raw = bytearray(_RESPONSE.pack(identifier, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE))
    try:
        _ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, raw)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise failed("SECCOMP_IOCTL_NOTIF_SEND", error) from error


def waiting(listener: int) -> bool:
    """Wait until a call waits for an answer; False when no process is left that could make one (Linux 5.8)."""
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    (_fd, events) = poll.poll()[0]
    return bool(events & select.POLLIN)


def _ioctl(listener: int, request: int, raw: bytearray) -> None:
    while True:
        try:
            fcntl.ioctl(listener, request, raw)
        except InterruptedError:
            continue
        return
