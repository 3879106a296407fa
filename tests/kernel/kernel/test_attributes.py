"""Attributes of a thread, each changed in a child."""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import prctl
import pytest

from zonectl.errors import SyscallError
from zonectl.kernel import attributes, proc, process

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    InChild = Callable[[Callable[[], object]], None]

pytestmark = pytest.mark.requires("root")

CAP_CHOWN, CAP_NET_RAW, CAP_CHECKPOINT_RESTORE = 0, 13, 40


def test_capabilities_are_as_proc_says() -> None:
    ours, theirs = attributes.capget(), proc.capability_sets("self")
    assert theirs is not None
    assert (ours.effective, ours.permitted, ours.inheritable) == (
        theirs.effective,
        theirs.permitted,
        theirs.inheritable,
    )


def test_capset_reaches_both_halves(in_child: InChild) -> None:
    def body() -> None:
        kept = attributes.capget().permitted & (1 << CAP_CHOWN | 1 << CAP_CHECKPOINT_RESTORE)
        attributes.capset(1 << CAP_CHOWN, kept, kept)
        assert attributes.capget() == attributes.Capabilities(1 << CAP_CHOWN, kept, kept)
        with pytest.raises(SyscallError) as caught:
            attributes.capset(1 << CAP_NET_RAW, 1 << CAP_NET_RAW, 0)
        assert caught.value.errno == errno.EPERM

    in_child(body)


def test_dumpable(in_child: InChild) -> None:
    def body() -> None:
        attributes.set_dumpable(False)
        assert prctl.get_dumpable() == 0
        assert os.stat("/proc/self/exe", follow_symlinks=False).st_uid == 0
        attributes.set_dumpable(True)
        assert prctl.get_dumpable() == 1

    in_child(body)


def test_no_new_privs(in_child: InChild) -> None:
    def body() -> None:
        assert not attributes.no_new_privs()
        attributes.set_no_new_privs()
        assert attributes.no_new_privs()
        assert proc.status_fields("self")["NoNewPrivs"] == "1"

    in_child(body)


def test_pdeathsig(in_child: InChild) -> None:
    def body() -> None:
        attributes.set_child_subreaper()
        reading, writing = os.pipe()

        def parent() -> int:
            pid, _pidfd = process.fork()
            if pid == 0:
                attributes.set_pdeathsig(signal.SIGKILL)
                os.write(writing, b"x")
                signal.pause()
            os.read(reading, 1)
            os.write(writing, str(pid).encode())
            return 0

        _pid, pidfd = process.spawn(parent)
        process.wait_pidfd(pidfd)
        orphan = int(os.read(reading, 20))
        # Ours, since we are the subreaper; killed, since its parent ended.
        assert os.waitpid(orphan, 0) == (orphan, signal.SIGKILL)

    in_child(body)


def test_file_ids(in_child: InChild, tmp_path: Path) -> None:
    def body() -> None:
        os.chmod(tmp_path, 0o777)
        prctl.securebits.no_setuid_fixup = True
        assert attributes.setfsgid(1001) == 0
        assert attributes.setfsuid(1000) == 0
        (tmp_path / "file").touch()
        assert attributes.setfsuid(0) == 1000
        assert attributes.setfsgid(0) == 1001
        status = (tmp_path / "file").stat()
        assert (status.st_uid, status.st_gid) == (1000, 1001)

    in_child(body)


def test_file_ids_that_are_refused(in_child: InChild) -> None:
    def body() -> None:
        attributes.setresgid(1000, 1000, 1000)
        attributes.setresuid(1000, 1000, 1000)
        for call in (attributes.setfsuid, attributes.setfsgid):
            with pytest.raises(SyscallError) as caught:
                call(0)
            assert caught.value.errno == errno.EPERM

    in_child(body)


def test_a_subreaper_adopts(in_child: InChild) -> None:
    def body() -> None:
        attributes.set_child_subreaper()

        def late() -> int:
            time.sleep(0.05)
            return 6

        def parent() -> int:
            process.spawn(late)
            return 0

        _pid, pidfd = process.spawn(parent)
        process.wait_pidfd(pidfd)
        _orphan, status = os.wait()
        assert os.WEXITSTATUS(status) == 6

    in_child(body)


def test_ids_and_groups(in_child: InChild) -> None:
    def body() -> None:
        attributes.setgroups([5, 4_000_000_000])
        attributes.setresgid(10, 11, 12)
        attributes.setresuid(-1, 2**32 - 2, 9)
        assert sorted(os.getgroups()) == [5, 4_000_000_000]
        assert os.getresgid() == (10, 11, 12)
        assert os.getresuid() == (0, 2**32 - 2, 9)
        attributes.setresuid(9, 9, 9)
        with pytest.raises(SyscallError) as caught:
            attributes.setgroups([])
        assert caught.value.errno == errno.EPERM

    in_child(body)


def test_ids_are_set_in_the_child_of_a_parent_with_threads(in_child: InChild) -> None:
    """The C library would wait for ever for the parent's other thread."""

    def body() -> None:
        over = threading.Event()
        thread = threading.Thread(target=over.wait)
        thread.start()

        def become_nobody() -> int:
            attributes.setgroups([])
            attributes.setresgid(65534, 65534, 65534)
            attributes.setresuid(65534, 65534, 65534)
            return 0

        _pid, pidfd = process.spawn(become_nobody)
        status = process.wait_pidfd(pidfd, timeout_s=10) or process.kill_and_reap(pidfd)
        over.set()
        thread.join()
        assert status == process.ExitStatus(status=0)

    in_child(body)
