"""Asking about every call, for real: a child that is listened to, and this process as its listener."""

from __future__ import annotations

import ctypes
import errno
import faulthandler
import os
import signal
import threading
from collections import Counter
from typing import TYPE_CHECKING, Self

import pytest

from zonectl.errors import SyscallError
from zonectl.kernel import attributes, notifier, process

if TYPE_CHECKING:
    from collections.abc import Callable

    InChild = Callable[[Callable[[], object]], None]

pytestmark = pytest.mark.requires("root", "seccomp:user_notif")

AUDIT_ARCHES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
RESTARTED = 200
ODD = 0x5EC0 << 16
"""A command of prctl(2) that there is not: EINVAL, and nobody but the test uses it."""

LIBC = ctypes.CDLL(None, use_errno=True)


def ask(n: int) -> None:
    LIBC.prctl(ODD | n, *(ctypes.c_ulong(n << 33),) * 4)


class Listened:
    """A child that runs `function` under a listener, which this process holds."""

    def __init__(self, function: Callable[[], int]) -> None:
        reading, writing = os.pipe()

        def body() -> int:
            # What listen() will return: nothing is opened or closed in between.
            number = os.dup(0)
            os.close(number)
            os.write(writing, bytes([number]))
            faulthandler.disable()  # a fault is to end the child
            # Its own copy would keep it waiting when the other one has gone.
            os.close(notifier.listen())
            return function()

        self.pid, self.pidfd = process.spawn(body)
        os.close(writing)
        (number,) = os.read(reading, 1)
        os.close(reading)
        found = None
        while found is None:
            found = notifier.fetch(self.pidfd, number)
        self.listener = found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        process.kill_and_reap(self.pidfd)
        os.close(self.pidfd)
        if self.listener >= 0:
            os.close(self.listener)

    def calls(self) -> list[notifier.Notification]:
        """Every call until the last process of the child's has ended, each let go on."""
        heard = []
        while notifier.waiting(self.listener):
            if (call := notifier.receive(self.listener)) is not None:
                heard.append(call)
                notifier.let_go_on(self.listener, call.id)
        return heard

    def odd(self) -> list[int]:
        """The numbers that the child has asked about, in order."""
        first = [call.arguments[0] for call in self.calls()]
        return [argument & 0xFFFF for argument in first if argument >> 16 == ODD >> 16]

    def let_listener_go(self) -> None:
        os.close(self.listener)
        self.listener = -1


def test_the_kernels_structures_are_known() -> None:
    assert notifier.sizes_fit()


def test_every_one_of_ten_thousand_calls_is_heard_of() -> None:
    def many() -> int:
        for n in range(10_000):
            ask(n)
        return 3

    with Listened(many) as child:
        assert child.odd() == list(range(10_000))
        assert process.wait_pidfd(child.pidfd) == process.ExitStatus(status=3)


def test_a_call_is_heard_of_with_its_process_its_architecture_and_whole_arguments() -> None:
    def once() -> int:
        ask(7)
        return 0

    with Listened(once) as child:
        heard = [call for call in child.calls() if call.arguments[0] == ODD | 7]
    (call,) = heard
    assert call.pid == child.pid
    assert call.arch == AUDIT_ARCHES[os.uname().machine]
    assert call.arguments[1:5] == (7 << 33,) * 4


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

    with Listened(family) as child:
        assert Counter(child.odd()) == Counter(range(40))


def test_threads_are_heard_of() -> None:
    def threads() -> int:
        running = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        return 0

    with Listened(threads) as child:
        assert sorted(child.odd()) == list(range(8))


def test_a_call_that_signals_interrupt_is_heard_of_at_least_once() -> None:
    def interrupted() -> int:
        signal.signal(signal.SIGALRM, lambda *_: None)
        # A call that nobody has heard of yet ends with EINTR otherwise, as a slow one does.
        signal.siginterrupt(signal.SIGALRM, False)
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        for n in range(RESTARTED):
            ask(n)
        signal.setitimer(signal.ITIMER_REAL, 0)
        return 0

    with Listened(interrupted) as child:
        assert set(child.odd()) == set(range(RESTARTED))


def test_a_process_that_is_killed_while_it_waits_for_an_answer() -> None:
    def once() -> int:
        ask(1)
        return 0

    with Listened(once) as child:
        call = None
        while notifier.waiting(child.listener):
            call = notifier.receive(child.listener)
            assert call is not None
            process.pidfd_send_signal(child.pidfd, signal.SIGKILL)
            assert process.wait_pidfd(child.pidfd) == process.ExitStatus(signal=signal.SIGKILL)
            notifier.let_go_on(child.listener, call.id)
        assert call is not None


def test_where_nobody_listens_any_more_every_call_fails() -> None:
    def outlive() -> int:
        before = LIBC.getppid()
        while LIBC.getppid() == before:
            pass
        return 0

    with Listened(outlive) as child:
        for _ in range(10):
            assert notifier.waiting(child.listener)
            call = notifier.receive(child.listener)
            assert call is not None
            notifier.let_go_on(child.listener, call.id)
        child.let_listener_go()
        # It cannot even exit: its exit_group is refused as well, and the C library makes it end by a fault.
        assert process.wait_pidfd(child.pidfd, timeout_s=20) in (
            process.ExitStatus(signal=signal.SIGSEGV),
            process.ExitStatus(signal=signal.SIGILL),
        )


def test_a_second_listener_is_refused() -> None:
    def body() -> int:
        with pytest.raises(SyscallError) as caught:
            notifier.listen()
        return 0 if caught.value.errno == errno.EBUSY else 1

    with Listened(body) as child:
        child.calls()
        assert process.wait_pidfd(child.pidfd) == process.ExitStatus(status=0)


def test_listening_needs_a_privilege_or_no_new_ones(in_child: InChild) -> None:
    def body() -> None:
        attributes.setresuid(1000, 1000, 1000)
        with pytest.raises(SyscallError) as caught:
            notifier.listen()
        assert caught.value.errno == errno.EACCES

    in_child(body)


def test_a_descriptor_that_is_not_there_cannot_be_fetched() -> None:
    def forever() -> int:
        signal.pause()
        return 0

    pid, pidfd = process.spawn(forever)
    assert notifier.fetch(pidfd, 900) is None
    process.kill_and_reap(pidfd)
    with pytest.raises(SyscallError) as caught:
        notifier.fetch(pidfd, 0)
    assert caught.value.errno == errno.ESRCH
    os.close(pidfd)
    assert pid > 0
