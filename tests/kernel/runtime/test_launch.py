"""The end of init's conversation: by an execve, or by a kill that must not pass for one."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

import prctl
import pytest

from zonectl.errors import ZonectlError
from zonectl.kernel import process
from zonectl.runtime import entry
from zonectl.runtime.launch import see_executed

if TYPE_CHECKING:
    from collections.abc import Callable


def _ended(child: Callable[[], int]) -> tuple[int, int]:
    """A child that lets go of a pipe only when it executes or ends, as init does; its pid and pidfd."""
    ours, theirs = os.pipe2(os.O_CLOEXEC)

    def by_its_name() -> int:
        prctl.set_name(entry.NAME)
        return child()

    pid, pidfd = process.spawn(by_its_name)
    os.close(theirs)
    assert os.read(ours, 1) == b""
    os.close(ours)
    return pid, pidfd


def _killed() -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def _forbidden() -> int:
    os.kill(os.getpid(), signal.SIGSYS)
    return 0


@pytest.mark.parametrize("child", [_killed, _forbidden])
def test_a_kill_is_no_execve(child: Callable[[], int]) -> None:
    for _ in range(20):
        pid, pidfd = _ended(child)
        try:
            with pytest.raises(ZonectlError, match=r"killed by SIG(KILL|SYS) before its program ran"):
                see_executed(pid, pidfd)
        finally:
            process.wait_pidfd(pidfd)
            os.close(pidfd)


def test_an_end_of_its_own_is_no_execve_either() -> None:
    """As where a filter refuses both the program and the word that would say so."""
    pid, pidfd = _ended(lambda: 125)
    process.wait_pidfd(pidfd, reap=False)
    with pytest.raises(ZonectlError, match="init ended with status 125 before its program ran"):
        see_executed(pid, pidfd)
    process.wait_pidfd(pidfd)
    os.close(pidfd)


def test_an_execve_is_one_also_when_the_program_is_quick() -> None:
    for _ in range(20):
        pid, pidfd = _ended(lambda: os.execv("/bin/true", ["true"]))
        try:
            see_executed(pid, pidfd)
        finally:
            assert process.wait_pidfd(pidfd) == process.ExitStatus(status=0)
            os.close(pidfd)


@pytest.mark.parametrize("name", ["KILL", "SYS"])
def test_a_program_that_is_killed_at_once_has_run(name: str) -> None:
    for _ in range(20):
        pid, pidfd = _ended(lambda: os.execv("/bin/sh", ["sh", "-c", f"kill -{name} $$"]))
        try:
            assert process.wait_pidfd(pidfd, reap=False) == process.ExitStatus(
                signal=signal.Signals[f"SIG{name}"]
            )
            see_executed(pid, pidfd)
        finally:
            process.wait_pidfd(pidfd)
            os.close(pidfd)


@pytest.mark.requires("kernel:6.15")
def test_of_what_its_parent_has_reaped_no_more_is_said_than_is_known() -> None:
    pid, pidfd = _ended(_killed)
    process.wait_pidfd(pidfd)
    with pytest.raises(ZonectlError, match="killed by SIGKILL before or just as its program ran"):
        see_executed(pid, pidfd)
    os.close(pidfd)


def test_a_program_that_runs_on_is_left_alone() -> None:
    pid, pidfd = _ended(lambda: os.execv("/bin/sleep", ["sleep", "1000"]))
    try:
        see_executed(pid, pidfd)
        assert not process.pidfd_exited(pidfd)
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        process.wait_pidfd(pidfd)
        os.close(pidfd)
