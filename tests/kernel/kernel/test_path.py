"""Paths in a root that lies: nothing is opened or made outside of it."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from zonectl.errors import SyscallError
from zonectl.kernel import path, proc, process

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


@pytest.mark.requires("root")
def test_folders_are_made_with_mode_and_owner(root: Path, rootfd: int) -> None:
    (root / "old").mkdir(mode=0o700)
    fd = path.make_dirs_in_root(rootfd, "/old/a/b", 0o1777, owner=(5, 6))
    assert _where(fd) == str(root / "old/a/b")
    for made in ("old/a", "old/a/b"):
        status = (root / made).stat()
        assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o1777, 5, 6)
    status = (root / "old").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o700, os.geteuid())


@pytest.mark.parametrize(
    ("wanted", "made"),
    [
        ("/", ""),
        ("", ""),
        ("..", ""),
        ("a/../b//./c/", "b/c"),
        ("../../x", "x"),
        ("dangling/y", "target/deep/y"),
        ("absolute/y", "abs/y"),
        ("climbing/y", "outside/y"),
        ("chain", "target/deep"),
        ("there/link/z", "there/real/z"),
    ],
)
def test_folders_are_made_where_links_lead(root: Path, rootfd: int, wanted: str, made: str) -> None:
    (root / "dangling").symlink_to("target/deep")
    (root / "absolute").symlink_to("/abs")
    (root / "climbing").symlink_to("../../../outside")
    (root / "chain").symlink_to("./dangling/.")
    (root / "there").mkdir()
    (root / "there/link").symlink_to("real")
    fd = path.make_dirs_in_root(rootfd, wanted)
    assert stat.S_ISDIR(os.fstat(fd).st_mode)
    assert _where(fd) == str(root / made)


def test_a_loop_of_links(root: Path, rootfd: int) -> None:
    (root / "one").symlink_to("two/x")
    (root / "two").symlink_to("one/x")
    with pytest.raises(SyscallError) as caught:
        path.make_dirs_in_root(rootfd, "one")
    assert caught.value.errno == errno.ELOOP


def test_links_that_multiply(root: Path, rootfd: int) -> None:
    """Each link names the next one twice: what is walked is bounded."""
    for number in range(30):
        (root / f"l{number}").symlink_to(f"l{number + 1}/../l{number + 1}")
    with pytest.raises(SyscallError) as caught:
        path.make_dirs_in_root(rootfd, "l0/x")
    assert caught.value.errno == errno.ELOOP


def test_a_file_in_the_way(root: Path, rootfd: int) -> None:
    (root / "file").touch()
    for wanted in ("file", "file/below"):
        with pytest.raises(SyscallError) as caught:
            path.make_dirs_in_root(rootfd, wanted)
        assert caught.value.errno == errno.ENOTDIR
    (root / "folder").mkdir()
    with pytest.raises(SyscallError) as caught:
        path.make_file_in_root(rootfd, "folder")
    assert caught.value.errno == errno.EISDIR


@pytest.mark.requires("root")
def test_files_are_made_with_their_folders(root: Path, rootfd: int) -> None:
    (root / "etc").mkdir()
    (root / "etc/resolv.conf").symlink_to("../run/resolvconf/resolv.conf")
    fd = path.make_file_in_root(rootfd, "/etc/resolv.conf", 0o604, owner=(9, 9))
    assert _where(fd) == str(root / "run/resolvconf/resolv.conf")
    status = (root / "run/resolvconf/resolv.conf").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o604, 9)
    assert (root / "run").stat().st_uid == 9
    again = path.make_file_in_root(rootfd, "/etc/resolv.conf", 0o600)
    assert os.fstat(again).st_ino == status.st_ino
    assert stat.S_IMODE(os.fstat(again).st_mode) == 0o604
    os.close(again)


def test_a_nul_is_refused(rootfd: int) -> None:
    with pytest.raises(SyscallError) as caught:
        path.make_dirs_in_root(rootfd, "a\0b")
    assert caught.value.errno == errno.EINVAL


def test_a_root_that_changes_meanwhile(root: Path, rootfd: int) -> None:
    """A neighbour swaps a folder for a link to the outside, over and over: nothing is made out there."""
    (root / "outside").mkdir()

    def swap() -> int:
        swapped = root / "swapped"
        moves = (
            lambda: swapped.symlink_to(root.parent / "outside"),
            swapped.unlink,
            swapped.mkdir,
            lambda: swapped.rename(root / "gone"),
            lambda: shutil.rmtree(root / "gone"),
        )
        while True:
            for move in moves:
                with suppress(OSError):
                    move()

    _pid, pidfd = process.spawn(swap)
    try:
        for number in range(300):
            with suppress(SyscallError):
                os.close(path.make_dirs_in_root(rootfd, f"swapped/made{number}"))
        assert not process.pidfd_exited(pidfd)
    finally:
        process.kill_and_reap(pidfd)
        os.close(pidfd)
