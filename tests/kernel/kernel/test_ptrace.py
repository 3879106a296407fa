"""Reading a filter back from a process that goes on as if nothing had been."""

from __future__ import annotations

import ctypes
import errno
import os
import select
import signal
import struct
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.patience import until
from zonectl.errors import SyscallError
from zonectl.kernel import attributes, proc, process, ptrace

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.requires("root", "seccomp")

ALLOW = struct.pack("=HBBI", 0x06, 0, 0, 0x7FFF0000)
ERRNO_NEVER = struct.pack("=HBBI", 0x20, 0, 0, 0) + ALLOW
PR_SET_SECCOMP = 22


def _load(program: bytes) -> None:
    """A filter over those that are there."""
    libc = ctypes.CDLL(None, use_errno=True)
    instructions = ctypes.create_string_buffer(program, len(program))
    length = len(program) // ptrace.INSTRUCTION_BYTES
    described = struct.pack("@HP", length, ctypes.addressof(instructions))
    assert libc.prctl(PR_SET_SECCOMP, 2, described, 0, 0) == 0, os.strerror(ctypes.get_errno())


@contextmanager
def sleeper(*programs: bytes) -> Iterator[int]:
    """A process under filters, that says 7 when it is woken by SIGUSR1 in its sleep and by nothing else."""
    ready, say = os.pipe()

    def sleep() -> int:
        signal.signal(signal.SIGUSR1, lambda *_: os._exit(7))
        attributes.set_no_new_privs()
        for program in programs:
            _load(program)
        os.write(say, b".")
        # Not all at once: a signal just before the sleep is heard after it.
        for _ in range(600):
            time.sleep(0.1)
        return 1

    pid, pidfd = process.spawn(sleep)
    try:
        os.read(ready, 1)
        yield pid
        assert proc.status_fields(pid)["TracerPid"] == "0"
        process.pidfd_send_signal(pidfd, signal.SIGUSR1)
        assert process.wait_pidfd(pidfd, timeout_s=30) == process.ExitStatus(status=7)
    finally:
        process.kill_and_reap(pidfd)
        os.close(ready)
        os.close(say)


def test_the_first_of_several_filters() -> None:
    with sleeper(ERRNO_NEVER, ALLOW) as pid:
        assert ptrace.first_seccomp_filter(pid) == ERRNO_NEVER
        # The sleep that was interrupted goes on.
        assert ptrace.first_seccomp_filter(pid) == ERRNO_NEVER


def test_a_stopped_process_stays_stopped() -> None:
    with sleeper(ALLOW) as pid:
        os.kill(pid, signal.SIGSTOP)
        while proc.process_state(pid) != "T":
            time.sleep(0.001)
        assert ptrace.first_seccomp_filter(pid) == ALLOW
        # Let go, it runs into its stop again.
        until(lambda: proc.process_state(pid) == "T")
        os.kill(pid, signal.SIGCONT)


def test_signals_that_arrive_meanwhile_are_not_lost() -> None:
    reading, writing = os.pipe()

    def count() -> int:
        # Each is written down by the C handler: one of Python's would not run when it comes just before the pause.
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing)
        signal.signal(signal.SIGUSR2, lambda *_: None)
        attributes.set_no_new_privs()
        _load(ALLOW)
        os.write(writing, b"!")
        while True:
            signal.pause()

    pid, pidfd = process.spawn(count)
    try:
        assert os.read(reading, 1) == b"!"
        for _ in range(50):
            process.pidfd_send_signal(pidfd, signal.SIGUSR2)
            ptrace.first_seccomp_filter(pid)
            assert select.select([reading], [], [], 10)[0], "a signal is lost"
            os.read(reading, 1)
    finally:
        process.kill_and_reap(pidfd)
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize("traced", [False, True])
def test_what_cannot_be_read_is_an_error(traced: bool) -> None:
    with sleeper() as pid:
        if not traced:
            with pytest.raises(SyscallError) as raised:
                ptrace.first_seccomp_filter(pid)
            assert raised.value.errno in {errno.EINVAL, errno.ENOENT}
            return
        with ptrace._stopped(pid):
            with pytest.raises(SyscallError) as raised:
                ptrace.first_seccomp_filter(pid)
            assert raised.value.errno == errno.EPERM


def test_who_is_gone() -> None:
    pid, pidfd = process.spawn(lambda: 0)
    process.wait_pidfd(pidfd)
    os.close(pidfd)
    with pytest.raises(SyscallError) as raised:
        ptrace.first_seccomp_filter(pid)
    assert raised.value.errno == errno.ESRCH


def test_under_a_filter_of_our_own_nothing_is_read() -> None:
    def confined() -> int:
        attributes.set_no_new_privs()
        _load(ALLOW)
        try:
            ptrace.first_seccomp_filter(pid)
        except SyscallError as error:
            return error.errno
        return 0

    with sleeper(ALLOW) as pid:
        _child, pidfd = process.spawn(confined)
        assert process.wait_pidfd(pidfd) == process.ExitStatus(status=errno.EACCES)
        os.close(pidfd)
