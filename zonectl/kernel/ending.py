"""Ends of processes: waiting by pidfd, and what the kernel remembers of a process that is gone."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import signal
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from zonectl.kernel.libc import failed

PIDFD_GET_INFO: Final = 0xC040FF0B
"""_IOWR(0xFF, 11, struct pidfd_info) with its first size, 64 bytes."""

PIDFD_INFO_CREDS: Final = 1 << 1
PIDFD_INFO_CGROUPID: Final = 1 << 2
PIDFD_INFO_EXIT: Final = 1 << 3

REAPING_GRACE_MS: Final = 100
"""How long `wait_pidfd` gives somebody else's child to be reaped, since only then the exit code can be read."""

_TRACED_S: Final = 1.0
"""How long a tracer is given to hear of an end: it runs, unless it is hostile or stopped."""

_PAUSE_S: Final = 0.001

_EXIT_CODE: Final = 49
"""Of the fields of /proc/PID/stat behind the name, which are the third and those that follow."""

_PIDFD_INFO: Final = struct.Struct("=QQ11Ii")


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """How a process ended: with `status`, or by `signal`, or nobody knows."""

    status: int | None = None
    signal: int | None = None

    @property
    def unknown(self) -> bool:
        """Whether the kernel could not tell."""
        return self.status is None and self.signal is None

    @property
    def code(self) -> int:
        """What a shell would show: the status, 128 + the signal, 255 where nobody knows."""
        if self.signal is not None:
            return 128 + self.signal
        return 255 if self.status is None else self.status

    @staticmethod
    def of_wait_status(status: int) -> ExitStatus:
        """From a status word of wait(2)."""
        if os.WIFSIGNALED(status):
            return ExitStatus(signal=os.WTERMSIG(status))
        return ExitStatus(status=os.WEXITSTATUS(status))


@dataclass(frozen=True, slots=True, kw_only=True)
class PidfdInfo:
    """What the kernel tells about the process of a pidfd; `ended` is None while it is not reaped."""

    pid: int
    ppid: int
    uid: int
    gid: int
    cgroup_id: int | None
    ended: ExitStatus | None


def pidfd_info(pidfd: int) -> PidfdInfo | None:
    """What the kernel tells about `pidfd`; None when it lacks PIDFD_GET_INFO (ioctl_pidfd, Linux 6.13).

    After the process was reaped only `ended` means anything, and that since Linux 6.15; before, None.
    """
    request = bytearray(_PIDFD_INFO.size)
    wanted = PIDFD_INFO_CREDS | PIDFD_INFO_CGROUPID | PIDFD_INFO_EXIT
    struct.pack_into("=Q", request, 0, wanted)
    try:
        fcntl.ioctl(pidfd, PIDFD_GET_INFO, request)
    except OSError as error:
        if error.errno in (errno.ENOTTY, errno.EINVAL, errno.ESRCH, errno.EREMOTE):
            return None
        raise failed("PIDFD_GET_INFO", error) from error
    mask, cgroup_id, pid, _tgid, ppid, uid, gid, *_others, exit_code = _PIDFD_INFO.unpack(request)
    return PidfdInfo(
        pid=pid,
        ppid=ppid,
        uid=uid,
        gid=gid,
        cgroup_id=cgroup_id if mask & PIDFD_INFO_CGROUPID else None,
        ended=ExitStatus.of_wait_status(exit_code) if mask & PIDFD_INFO_EXIT else None,
    )


def pidfd_exited(pidfd: int) -> bool:
    """Whether the process of `pidfd` has ended, reaped or not; pidfd_open(2)."""
    return _readable(pidfd, timeout_ms=0)


def wait_pidfd(pidfd: int, *, timeout_s: float | None = None, reap: bool = True) -> ExitStatus | None:
    """Wait for the end of the process of `pidfd` and reap it if it is ours; None when `timeout_s` has passed.

    Without `reap` it stays a zombie (WNOWAIT), for somebody else to learn how it ended.

    The status of somebody else's child can be read after they reaped it (Linux 6.15); it is unknown otherwise. A
    child that another process traces is ours to reap only when that one has heard of its end (ptrace(2)): where it
    does not listen, the status is told after a second, and the child stays a zombie. waitid(2) with P_PIDFD, Linux 5.4.

    Raises:
        SyscallError: waitid, for another reason than that the process is not ours.

    """
    if not _readable(pidfd, timeout_ms=None if timeout_s is None else max(0, round(timeout_s * 1000))):
        return None
    until = time.monotonic() + _TRACED_S
    while True:
        try:
            result = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG | (0 if reap else os.WNOWAIT))
        except ChildProcessError:
            return _status_of_stranger(pidfd)
        except OSError as error:
            raise failed("waitid", error) from error
        if result is not None:
            break
        if time.monotonic() > until:
            return _status_of_zombie(pidfd)
        time.sleep(_PAUSE_S)
    if result.si_code == os.CLD_EXITED:
        return ExitStatus(status=result.si_status)
    return ExitStatus(signal=result.si_status)


def _status_of_stranger(pidfd: int) -> ExitStatus:
    """How a process that is not our child ended; it is a zombie until its parent reaps it."""
    poll = select.poll()
    poll.register(pidfd, 0)  # POLLHUP, always reported, comes with the reaping
    poll.poll(REAPING_GRACE_MS)
    info = pidfd_info(pidfd)
    return (info.ended if info else None) or ExitStatus()


def _status_of_zombie(pidfd: int) -> ExitStatus:
    """How a child ended that is not reaped yet: the 52nd field of its stat, proc_pid_stat(5)."""
    try:
        with open(f"/proc/self/fdinfo/{pidfd}", encoding="ascii") as file:
            (pid,) = (line.split()[1] for line in file if line.startswith("Pid:"))
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return ExitStatus.of_wait_status(int(file.read().rpartition(")")[2].split()[_EXIT_CODE]))
    except (OSError, ValueError):  # its tracer was quicker: it is gone
        return ExitStatus()


def _readable(pidfd: int, *, timeout_ms: int | None) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(timeout_ms))


def end_child(pidfd: int) -> None:
    """Kill the child of `pidfd`, wait for its end, and close the descriptor; fine when it has ended."""
    try:
        kill_and_reap(pidfd)
    finally:
        os.close(pidfd)


def kill_and_reap(pidfd: int) -> ExitStatus:
    """Kill the child of `pidfd` and wait for its end."""
    with suppress(ProcessLookupError):  # ended already
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    return wait_pidfd(pidfd) or ExitStatus()
