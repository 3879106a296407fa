"""Paths in a root that lies: nothing is opened or made outside of it."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

import pytest

from zonectl.errors import SyscallError
from zonectl.kernel import path, proc

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path, open_fds: object) -> Iterator[Path]:
    """A root beside a folder that must stay as it is."""
    (tmp_path / "root").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("x")
    yield tmp_path / "root"
    assert os.listdir(tmp_path / "outside") == ["secret"]
    assert sorted(os.listdir(tmp_path)) == ["outside", "root"]


@pytest.fixture
def rootfd(root: Path) -> Iterator[int]:
    fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    yield fd
    os.close(fd)


def _where(fd: int) -> str:
    """The path of `fd`, which is closed."""
    try:
        assert not os.get_inheritable(fd)
        return os.readlink(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    "escape", ["../outside/secret", "/../../outside/secret", "up/outside/secret", "absolute"]
)
def test_opening_stays_inside(root: Path, rootfd: int, escape: str) -> None:
    (root / "up").symlink_to("../..")
    (root / "absolute").symlink_to(root.parent / "outside/secret")
    with pytest.raises(SyscallError) as caught:
        path.open_in_root(rootfd, escape, os.O_RDONLY)
    assert caught.value.errno == errno.ENOENT


def test_opening_follows_links_inside(root: Path, rootfd: int) -> None:
    (root / "etc").mkdir()
    (root / "etc/passwd").touch()
    (root / "link").symlink_to("/etc/../../etc/passwd")
    assert _where(path.open_in_root(rootfd, "link", os.O_RDONLY)) == str(root / "etc/passwd")


def test_magic_links_are_refused() -> None:
    fd = os.open("/proc", os.O_PATH | os.O_DIRECTORY)
    try:
        with pytest.raises(SyscallError) as caught:
            path.open_in_root(fd, "self/exe", os.O_RDONLY)
        assert caught.value.errno == errno.ELOOP
    finally:
        os.close(fd)


def test_openat2_refuses_links_when_asked(root: Path, rootfd: int) -> None:
    (root / "link").symlink_to("there")
    (root / "there").touch()
    with pytest.raises(SyscallError) as caught:
        path.openat2(rootfd, "link", os.O_RDONLY, resolve=path.RESOLVE_NO_SYMLINKS)
    assert (caught.value.errno, caught.value.subject) == (errno.ELOOP, "link")


def test_openat2_makes_files(root: Path, rootfd: int) -> None:
    os.close(path.open_in_root(rootfd, "made", os.O_WRONLY | os.O_CREAT, mode=0o640))
    assert stat.S_IMODE((root / "made").stat().st_mode) == 0o640 & ~_umask()


def _umask() -> int:
    return int(proc.status_fields("self")["Umask"], 8)


def test_a_nul_is_refused(rootfd: int) -> None:
    with pytest.raises(SyscallError) as caught:
        path.open_in_root(rootfd, "a\0b", os.O_PATH)
    assert caught.value.errno == errno.EINVAL
