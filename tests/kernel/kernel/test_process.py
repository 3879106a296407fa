"""The one fork, and what a process does to itself."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.requirements import cgroup2_mount
from zonectl.errors import SyscallError
from zonectl.kernel import ending, libc, proc, process, ptrace
from zonectl.kernel.process import ExitStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    InChild = Callable[[Callable[[], object]], None]

pytestmark = pytest.mark.requires("root", "kernel:6.1")

NS_GET_OWNER_UID = 0xB704
"""ioctl_ns(2)."""

NAMESPACES = {
    "mnt": process.CLONE_NEWNS,
    "pid": process.CLONE_NEWPID,
    "net": process.CLONE_NEWNET,
    "uts": process.CLONE_NEWUTS,
    "ipc": process.CLONE_NEWIPC,
    "cgroup": process.CLONE_NEWCGROUP,
    "user": process.CLONE_NEWUSER,
    "time": process.CLONE_NEWTIME,
}


@pytest.fixture
def group() -> Iterator[Path]:
    mounted = cgroup2_mount()
    assert mounted is not None
    folder = mounted / f"zonectl-test-kernel-{os.getpid()}"
    folder.mkdir()
    yield folder
    folder.rmdir()


def _exit_of(pidfd: int) -> ExitStatus | None:
    try:
        return process.wait_pidfd(pidfd, timeout_s=30)
    finally:
        os.close(pidfd)


def test_spawn_exits_with_the_result(open_fds: object) -> None:
    pid, pidfd = process.spawn(lambda: 7)
    assert proc.parent_pid(pid) == os.getpid()
    assert not os.get_inheritable(pidfd)
    assert _exit_of(pidfd) == ExitStatus(status=7)


def test_spawn_exits_70_and_shows_the_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    def fails() -> int:
        raise ValueError("on purpose")

    _pid, pidfd = process.spawn(fails)
    assert _exit_of(pidfd) == ExitStatus(status=70)
    assert "ValueError: on purpose" in capfd.readouterr().err


def test_spawn_survives_system_exit(capfd: pytest.CaptureFixture[str]) -> None:
    _pid, pidfd = process.spawn(lambda: sys.exit(3))
    assert _exit_of(pidfd) == ExitStatus(status=70)
    capfd.readouterr()


def test_spawn_writes_buffered_output_once(tmp_path: Path, in_child: InChild) -> None:
    def body() -> None:
        with (tmp_path / "out").open("w") as sys.stdout:
            sys.stdout.write("parent;")
            _pid, pidfd = process.spawn(lambda: sys.stdout.write("child;") and 0)
            _exit_of(pidfd)

    in_child(body)
    assert (tmp_path / "out").read_text() == "parent;child;"


@pytest.mark.parametrize("kind", NAMESPACES)
def test_clone_makes_each_namespace(kind: str) -> None:
    pid, pidfd = process.clone(NAMESPACES[kind])
    if pid == 0:
        signal.pause()
    try:
        # A child is in its new time namespace from the start (unlike after unshare).
        assert proc.namespace_ids(pid)[kind] != proc.namespace_ids("self")[kind]
    finally:
        assert process.kill_and_reap(pidfd) == ExitStatus(signal=signal.SIGKILL)
        os.close(pidfd)


def test_the_child_of_a_clone_knows_itself(in_child: InChild) -> None:
    """The C library's cache of the thread id, Python's locks and threads are those of the new process."""

    def body() -> None:
        flags = process.CLONE_NEWPID | process.CLONE_NEWNS
        pid, pidfd = process.clone(flags)
        if pid == 0:
            code = 70
            try:
                _check_identity()
                code = 0
            finally:
                os._exit(code)
        assert _exit_of(pidfd) == ExitStatus(status=0)

    in_child(body)


def _check_identity() -> None:
    assert os.getpid() == 1
    assert threading.get_native_id() == 1
    # pthread_getcpuclockid encodes the cached thread id: ~tid << 3 | 6 (the kernel's make_thread_cpuclock).
    clock = ctypes.c_int()
    libc.LIBC.pthread_self.restype = ctypes.c_void_p
    libc.LIBC.pthread_getcpuclockid(ctypes.c_void_p(libc.LIBC.pthread_self()), ctypes.byref(clock))
    assert ~(clock.value >> 3) == 1
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(1))
    thread.start()
    thread.join()
    assert seen
    _pid, pidfd = process.spawn(lambda: 5)
    assert process.wait_pidfd(pidfd) == ExitStatus(status=5)


def test_hooks_of_fork_run(in_child: InChild) -> None:
    def body() -> None:
        ran: list[str] = []
        os.register_at_fork(
            before=lambda: ran.append("before"),
            after_in_parent=lambda: ran.append("parent"),
            after_in_child=lambda: ran.append("child"),
        )
        _pid, pidfd = process.spawn(lambda: int(ran != ["before", "child"]))
        assert _exit_of(pidfd) == ExitStatus(status=0)
        assert ran == ["before", "parent"]
        with pytest.raises(SyscallError):
            process.clone(process.CLONE_NEWNS | 0x200)  # CLONE_FS beside CLONE_NEWNS: EINVAL
        assert ran == ["before", "parent"] * 2

    in_child(body)


@pytest.mark.requires("cgroup2")
def test_clone_into_a_group(group: Path) -> None:
    folder = os.open(group, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    pid, pidfd = process.clone(process.CLONE_NEWCGROUP, cgroup_fd=folder)
    if pid == 0:
        signal.pause()
    os.close(folder)
    try:
        assert (group / "cgroup.procs").read_text().split() == [str(pid)]
        assert str(proc.cgroup_of(pid)).endswith(f"/{group.name}")
        info = process.pidfd_info(pidfd)
        if info is not None:
            assert info.cgroup_id == group.stat().st_ino
    finally:
        process.kill_and_reap(pidfd)
        os.close(pidfd)


def test_clone_into_what_is_no_group(tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    with pytest.raises(SyscallError) as caught:
        process.clone(0, cgroup_fd=folder)
    os.close(folder)
    assert (caught.value.call, caught.value.errno) == ("clone3", errno.EBADF)


def test_waiting_times_out() -> None:
    pid, pidfd = process.fork()
    if pid == 0:
        signal.pause()
    try:
        start = time.monotonic()
        assert process.wait_pidfd(pidfd, timeout_s=0.05) is None
        assert time.monotonic() - start < 5
        assert not process.pidfd_exited(pidfd)
        process.pidfd_send_signal(pidfd, signal.SIGTERM)
        assert process.wait_pidfd(pidfd, timeout_s=30) == ExitStatus(signal=signal.SIGTERM)
        assert process.pidfd_exited(pidfd)
        with pytest.raises(SyscallError):
            process.pidfd_send_signal(pidfd, signal.SIGTERM)
    finally:
        os.close(pidfd)


def test_a_process_that_is_not_reaped_is_there_for_the_next_who_asks() -> None:
    _pid, pidfd = process.spawn(lambda: 42)
    try:
        assert process.wait_pidfd(pidfd, reap=False) == ExitStatus(status=42)
        assert process.wait_pidfd(pidfd) == ExitStatus(status=42)
    finally:
        os.close(pidfd)


def test_a_process_reaped_by_somebody_else() -> None:
    """ECHILD: since Linux 6.15 the kernel still tells the exit code, before it is unknown."""
    pid, pidfd = process.spawn(lambda: 42)
    os.waitpid(pid, 0)
    known = tuple(int(n) for n in os.uname().release.split(".")[:2]) >= (6, 15)
    expected = ExitStatus(status=42) if known else ExitStatus()
    assert _exit_of(pidfd) == expected
    assert expected.unknown != known


@pytest.mark.requires("kernel:6.15")
def test_a_strangers_end_is_awaited_until_it_is_reaped(in_child: InChild) -> None:
    """Not our child, and a zombie for a while: the parent's reaping is waited for."""

    def body() -> None:
        ending.REAPING_GRACE_MS = 30_000  # type: ignore[misc]
        pid, pidfd = process.spawn(lambda: 11)  # the stranger, reaped by this process

        def watch() -> int:
            status = process.wait_pidfd(pidfd, timeout_s=10)
            return 0 if status == ExitStatus(status=11) else 1

        _watcher, watching = process.spawn(watch)
        time.sleep(0.03)
        os.waitpid(pid, 0)
        assert _exit_of(watching) == ExitStatus(status=0)

    in_child(body)


@pytest.mark.requires("kernel:6.13")
def test_pidfd_info_of_the_living() -> None:
    fd = process.pidfd_open(os.getpid())
    info = process.pidfd_info(fd)
    os.close(fd)
    assert info is not None
    assert (info.pid, info.ppid, info.uid, info.ended) == (os.getpid(), os.getppid(), 0, None)


def test_pidfd_of_nobody() -> None:
    pid, pidfd = process.spawn(lambda: 0)
    _exit_of(pidfd)
    with pytest.raises(SyscallError) as caught:
        process.pidfd_open(pid)
    assert caught.value.errno == errno.ESRCH


def test_setns_by_pidfd(in_child: InChild) -> None:
    def body() -> None:
        flags = process.CLONE_NEWUTS | process.CLONE_NEWNET
        pid, pidfd = process.clone(flags)
        if pid == 0:
            process.sethostname("elsewhere")
            signal.pause()
        process.setns(pidfd, flags)
        theirs, ours = proc.namespace_ids(pid), proc.namespace_ids("self")
        deadline = time.monotonic() + 10
        while os.uname().nodename != "elsewhere":
            assert time.monotonic() < deadline
        process.kill_and_reap(pidfd)
        assert (ours["uts"], ours["net"]) == (theirs["uts"], theirs["net"])

    in_child(body)


def test_setns_by_file(in_child: InChild) -> None:
    def body() -> None:
        here = os.open("/proc/self/ns/uts", os.O_RDONLY | os.O_CLOEXEC)
        name = os.uname().nodename
        process.unshare(process.CLONE_NEWUTS)
        process.sethostname("other")
        process.setns(here)
        assert os.uname().nodename == name
        with pytest.raises(SyscallError) as caught:
            process.setns(here, process.CLONE_NEWNET)
        assert caught.value.errno == errno.EINVAL

    in_child(body)


def test_close_range(in_child: InChild) -> None:
    def body() -> None:
        first, second = os.dup2(0, 200), os.dup2(0, 201)
        process.close_range(200, 200)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(first)
        process.close_range(201)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(second)

    in_child(body)


def test_texts_with_a_nul_are_refused() -> None:
    with pytest.raises(SyscallError) as caught:
        process.sethostname("a\0b")
    assert caught.value.errno == errno.EINVAL


def test_host_names_have_64_bytes(in_child: InChild) -> None:
    def body() -> None:
        process.unshare(process.CLONE_NEWUTS)
        process.sethostname("x" * 64)
        assert os.uname().nodename == "x" * 64
        with pytest.raises(SyscallError) as caught:
            process.sethostname("x" * 65)
        assert caught.value.errno == errno.EINVAL

    in_child(body)


def test_eintr_is_retried(in_child: InChild) -> None:
    """A call that a signal interrupts is made again."""

    def body() -> None:
        poll = libc.SystemCall("poll", ctypes.c_void_p, ctypes.c_ulong, ctypes.c_int)
        rang: list[int] = []
        signal.signal(signal.SIGALRM, lambda *_: rang.append(1))
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        assert poll(None, 0, 100) == 0
        assert rang

    in_child(body)


def test_a_child_that_is_traced_by_somebody_who_does_not_listen_is_waited_for_no_longer_than_a_second() -> (
    None
):
    ready, say_ready = os.pipe()
    end, say_end = os.pipe()

    def child() -> int:
        def tracer() -> int:
            os.close(say_end)
            ptrace.request(ptrace.PTRACE_SEIZE, os.getppid(), None, None, subject="")
            os.write(say_ready, b"!")
            os.read(end, 1)
            return 0

        process.spawn(tracer)
        os.read(ready, 1)
        return 7

    _, pidfd = process.spawn(child)
    began = time.monotonic()
    assert process.wait_pidfd(pidfd, timeout_s=30) == ExitStatus(status=7)
    assert time.monotonic() - began < 20
    os.close(say_end)
    assert os.waitpid(-1, 0)[1] == 7 << 8  # its tracer has gone, and it is ours again
    for fd in (pidfd, ready, say_ready, end):
        os.close(fd)
