"""Being told of every call, for real: a child that is traced by another one."""

from __future__ import annotations

import ctypes
import errno
import faulthandler
import json
import os
import signal
import struct
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kernel import forked
from zonectl.errors import SyscallError
from zonectl.kernel import process, seccomp, tracer

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.requires("root", "seccomp:trace")

AUDIT_ARCHES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
EVERY_CALL = struct.pack("=HBBI", 0x06, 0, 0, 0x7FF00000)
"""SECCOMP_RET_TRACE."""
ODD = 0x5EC0 << 16
"""A command of prctl(2) that there is not: EINVAL, and nobody but the test uses it."""
MANY = 10_000

LIBC = ctypes.CDLL(None, use_errno=True)


def ask(n: int) -> int:
    """Make the odd call: its errno."""
    LIBC.prctl(ODD | n, *(ctypes.c_ulong(n << 33),) * 4)
    return ctypes.get_errno()


@dataclass(frozen=True)
class Told:
    """What a tracer was told, and how the one that it traced ended."""

    pid: int
    calls: list[tracer.Call]
    executed: int
    ended: process.ExitStatus | None

    def odd(self) -> list[int]:
        """The numbers that were asked about, in order."""
        first = [call.arguments[0] for call in self.calls]
        return [argument & 0xFFFF for argument in first if argument >> 16 == ODD >> 16]


def traced(function: Callable[[], int], *, at_odd: Callable[[int], object] | None = None) -> Told:
    """Have one child run `function` under the asking filter and another one trace it, until all has ended.

    `at_odd` is called by the tracer at each odd call, with the pid of the one that runs `function`.
    """
    start, go = os.pipe()
    reading, writing = os.pipe()

    def body() -> int:
        faulthandler.disable()  # a fault is to end the child
        os.close(go)
        os.close(writing)
        os.read(start, 1)
        seccomp.set_mode_filter(EVERY_CALL)
        return function()

    pidfd = forked.spawn(body)
    pid = int(
        Path(f"/proc/self/fdinfo/{pidfd}").read_text(encoding="ascii").partition("\nPid:\t")[2].split()[0]
    )

    def trace() -> int:
        tracer.seize(pid)
        os.close(go)
        with os.fdopen(writing, "w", encoding="ascii") as file:
            json.dump(followed(lambda: at_odd and at_odd(pid)), file)
        return 0

    tracing = forked.spawn(trace)
    for fd in (start, go, writing):
        os.close(fd)
    with os.fdopen(reading, encoding="ascii") as file:
        executed, rows = json.loads(file.read() or "[0, []]")
    ended = process.wait_pidfd(pidfd, timeout_s=60)
    process.wait_pidfd(tracing, timeout_s=60)
    os.close(pidfd)
    os.close(tracing)
    calls = [tracer.Call(tid, number, arch, tuple(arguments)) for tid, number, arch, arguments in rows]
    return Told(pid, calls, executed, ended)


def followed(at_odd: Callable[[], object]) -> tuple[int, list[tuple[object, ...]]]:
    """How many programs were executed, and the calls, by all that this process traces."""
    rows: list[tuple[object, ...]] = []
    executed: list[bool] = []

    def called(call: tracer.Call) -> None:
        rows.append((call.tid, call.number, call.arch, call.arguments))
        if call.arguments[0] >> 16 == ODD >> 16:
            at_odd()

    tracer.follow(-1, called=called, executed=lambda: executed.append(True))
    return len(executed), rows


def test_every_one_of_ten_thousand_calls_is_heard_of_once() -> None:
    def many() -> int:
        for n in range(MANY):
            ask(n)
        return 3

    told = traced(many)
    assert told.odd() == list(range(MANY))
    assert told.ended == process.ExitStatus(status=3)


def test_a_call_is_heard_of_with_its_thread_its_architecture_and_whole_arguments() -> None:
    told = traced(lambda: ask(7) and 0)
    (call,) = [call for call in told.calls if call.arguments[0] == ODD | 7]
    assert call.tid == told.pid
    assert call.arch == AUDIT_ARCHES[os.uname().machine]
    assert call.arguments[1:5] == (7 << 33,) * 4
    assert len(call.arguments) == 6


def test_children_and_their_children_are_heard_of_until_the_last_has_ended() -> None:
    def family() -> int:
        for n in range(20):
            pid, _ = process.fork()
            if pid == 0:
                grandchild, _ = process.fork()
                ask(n * 2 + (grandchild == 0))
                os._exit(0)
        # Not waited for: some outlive this process.
        return 0

    assert Counter(traced(family).odd()) == Counter(range(40))


def test_threads_are_heard_of() -> None:
    def threads() -> int:
        running = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        return 0

    assert sorted(traced(threads).odd()) == list(range(8))


def test_no_signal_disturbs_a_call_that_waits_for_its_tracer() -> None:
    def interrupted() -> int:
        heard = []
        signal.signal(signal.SIGALRM, lambda *_: heard.append(1))
        signal.siginterrupt(signal.SIGALRM, True)
        signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
        answers = {ask(n) for n in range(MANY)}
        signal.setitimer(signal.ITIMER_REAL, 0)
        return 0 if answers == {errno.EINVAL} and len(heard) > 50 else 1

    told = traced(interrupted)
    assert told.ended == process.ExitStatus(status=0)
    assert told.odd() == list(range(MANY))


def test_signals_are_delivered_and_kill() -> None:
    def signalled() -> int:
        signal.signal(signal.SIGUSR1, lambda *_: ask(1))
        os.kill(os.getpid(), signal.SIGUSR1)
        ask(2)
        os.kill(os.getpid(), signal.SIGUSR2)
        return 0

    told = traced(signalled)
    assert told.odd() == [1, 2]
    assert told.ended == process.ExitStatus(signal=signal.SIGUSR2)


def test_what_is_stopped_stays_so_and_its_parent_is_told() -> None:
    def parent() -> int:
        pid = os.fork()
        if pid == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
            ask(3)
            os._exit(5)
        stopped = os.waitpid(pid, os.WUNTRACED)[1]
        ask(1)
        time.sleep(0.1)
        still = os.waitpid(pid, os.WNOHANG)[0] == 0
        ask(2)
        os.kill(pid, signal.SIGCONT)
        ended = os.waitpid(pid, 0)[1]
        fits = os.WIFSTOPPED(stopped) and still and os.waitstatus_to_exitcode(ended) == 5
        return 0 if fits else 1

    told = traced(parent)
    assert told.ended == process.ExitStatus(status=0)
    assert told.odd() == [1, 2, 3]


def test_an_execve_is_told_of() -> None:
    def execute() -> int:
        if os.fork() == 0:
            os.execv("/bin/true", ["true"])
        os.wait()
        os.execv("/bin/true", ["true"])

    told = traced(execute)
    assert told.executed == 2
    assert told.ended == process.ExitStatus(status=0)


def test_a_thread_that_executes_takes_the_place_of_the_first() -> None:
    def execute() -> int:
        threading.Thread(target=os.execv, args=("/bin/true", ["true"])).start()
        signal.pause()
        return 1

    told = traced(execute)
    assert told.executed == 1
    assert told.ended == process.ExitStatus(status=0)


def test_a_child_that_borrows_the_memory_of_its_parent() -> None:
    def borrow() -> int:
        os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
        ask(1)
        return 0

    told = traced(borrow)
    assert told.executed == 1
    assert told.odd() == [1]
    assert len({call.tid for call in told.calls}) == 2


def test_a_whole_process_is_stopped_with_its_threads() -> None:
    def parent() -> int:
        pid = os.fork()
        if pid == 0:
            threading.Thread(target=lambda: [ask(7) for _ in range(MANY)], daemon=True).start()
            os.kill(os.getpid(), signal.SIGSTOP)
            os._exit(5)
        os.waitpid(pid, os.WUNTRACED)
        ask(1)
        time.sleep(0.2)
        ask(2)
        os.kill(pid, signal.SIGCONT)
        return 0 if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5 else 1

    told = traced(parent)
    assert told.ended == process.ExitStatus(status=0)
    odd = told.odd()
    assert 7 not in odd[odd.index(1) : odd.index(2)]


def test_one_that_is_killed_while_its_call_waits() -> None:
    told = traced(lambda: ask(1) and ask(2), at_odd=lambda pid: os.kill(pid, signal.SIGKILL))
    assert told.odd() == [1]
    assert told.ended == process.ExitStatus(signal=signal.SIGKILL)


def test_a_tracer_that_is_killed_takes_them_all_with_it() -> None:
    reading, writing = os.pipe()

    def family() -> int:
        if os.fork() == 0:
            threading.Thread(target=time.sleep, args=(300,)).start()
            signal.pause()
        time.sleep(0.1)
        return ask(1) and 0

    told = traced(family, at_odd=lambda _pid: os.kill(os.getpid(), signal.SIGKILL))
    assert told.ended == process.ExitStatus(signal=signal.SIGKILL)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        assert file.read() == b""  # none of them has the other end any more


def test_without_a_tracer_every_call_fails() -> None:
    def alone() -> int:
        faulthandler.disable()
        seccomp.set_mode_filter(EVERY_CALL)
        if ask(1) == errno.ENOSYS:
            # Refused as well: the C library makes it end by a fault.
            LIBC._exit(0)
        return 1

    pidfd = forked.spawn(alone)
    assert process.wait_pidfd(pidfd, timeout_s=20) in (
        process.ExitStatus(signal=signal.SIGSEGV),
        process.ExitStatus(signal=signal.SIGILL),
    )
    os.close(pidfd)


def test_who_is_traced_already_is_refused() -> None:
    def again(pid: int) -> None:
        if process.wait_pidfd(forked.spawn(lambda: refused(pid))) != process.ExitStatus(status=0):
            os.kill(pid, signal.SIGKILL)

    def refused(pid: int) -> int:
        with pytest.raises(SyscallError) as caught:
            tracer.seize(pid)
        return 0 if caught.value.errno == errno.EPERM else 1

    told = traced(lambda: ask(1) and 0, at_odd=again)
    assert told.ended == process.ExitStatus(status=0)
