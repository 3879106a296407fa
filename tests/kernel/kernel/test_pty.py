"""Terminals in a devpts of the test's own."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

import pytest

from zonectl.errors import SyscallError
from zonectl.kernel import mount, pty

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    InChild = Callable[[Callable[[], object]], None]

pytestmark = pytest.mark.requires("root")


def _devpts(folder: Path) -> int:
    mount.mount("devpts", folder, "devpts", 0, "newinstance,ptmxmode=0666,mode=0620")
    return os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def test_a_terminal_of_that_devpts(in_mount_namespace: InChild, tmp_path: Path) -> None:
    def body() -> None:
        master, slave = pty.open_terminal(_devpts(tmp_path))
        assert (tmp_path / "0").stat().st_rdev == os.fstat(slave).st_rdev
        assert not os.get_inheritable(master)
        assert not os.get_inheritable(slave)
        os.write(master, b"typed\n")
        assert os.read(slave, 100) == b"typed\n"
        os.write(slave, b"shown\n")
        shown = b""
        while len(shown) < len(b"typed\r\nshown\r\n"):
            shown += os.read(master, 100)
        assert shown == b"typed\r\nshown\r\n"

    in_mount_namespace(body)


def test_the_slave_is_opened_without_a_path(in_mount_namespace: InChild, tmp_path: Path) -> None:
    """Something else mounted where the slave's name is does not matter."""

    def body() -> None:
        devpts = _devpts(tmp_path)
        first = pty.open_terminal(devpts)
        for fd in first:
            os.close(fd)
        mount.mount("tmpfs", tmp_path, "tmpfs")
        _master, slave = pty.open_terminal(devpts)
        assert stat.S_ISCHR(os.fstat(slave).st_mode)

    in_mount_namespace(body)


def test_what_is_no_devpts(tmp_path: Path, open_fds: object) -> None:
    os.mknod(tmp_path / "ptmx", stat.S_IFCHR | 0o666, os.makedev(5, 2))
    folder = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    with pytest.raises(SyscallError) as caught:
        pty.open_terminal(folder)
    os.close(folder)
    assert caught.value.errno == errno.ENODEV


def test_a_file_mounted_on_ptmx(in_mount_namespace: InChild, tmp_path: Path) -> None:
    def body() -> None:
        devpts = _devpts(tmp_path)
        mount.mount("/dev/null", tmp_path / "ptmx", None, mount.MS_BIND)
        before = os.listdir("/proc/self/fd")
        with pytest.raises(SyscallError) as caught:
            pty.open_terminal(devpts)
        assert caught.value.errno == errno.EXDEV
        assert os.listdir("/proc/self/fd") == before

    in_mount_namespace(body)
