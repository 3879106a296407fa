"""Roots copied as root, from hostile sources and on file systems that share blocks."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest

from zonectl.errors import ImageError
from zonectl.images.copy import copy_tree
from zonectl.images.limits import MAX_DEPTH, Limits
from zonectl.images.storage import describe
from zonectl.kernel import process

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.requires("root")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    (root / "bin").mkdir(parents=True)
    (root / "bin/su").write_bytes(b"x" * 10000)
    os.chown(root / "bin/su", 5, 42)
    (root / "bin/su").chmod(0o6755)
    os.setxattr(root / "bin/su", "user.note", b"kept")
    os.setxattr(root / "bin/su", "trusted.overlay.redirect", b"/etc")
    os.link(root / "bin/su", root / "sudo")
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)
    (root / "sh").symlink_to("/bin/su")
    os.chown(root / "sh", 7, 8, follow_symlinks=False)
    os.mkfifo(root / "fifo")
    os.utime(root / "bin", (1, 2))
    return root


def test_a_copy_has_the_same_tree(tmp_path: Path, source: Path) -> None:
    copied = copy_tree([str(source)], str(tmp_path / "copy"))
    assert describe(str(tmp_path / "copy")) == describe(str(source))
    assert (tmp_path / "copy/sudo").samefile(tmp_path / "copy/bin/su")
    assert not (tmp_path / "copy/sudo").samefile(source / "sudo")
    assert (tmp_path / "copy/bin").stat().st_mtime == 2
    assert os.listxattr(tmp_path / "copy/sudo") == ["user.note"]
    assert (copied.bytes, copied.skipped) == (10000, [])


def test_holes_stay_holes(tmp_path: Path, source: Path) -> None:
    with (source / "hole").open("wb") as file:
        file.seek(8 << 20)
        file.write(b"data")
        file.truncate(16 << 20)
    copy_tree([str(source)], str(tmp_path / "copy"))
    status = (tmp_path / "copy/hole").stat()
    assert status.st_size == 16 << 20
    assert status.st_blocks * 512 < 1 << 20
    assert describe(str(tmp_path / "copy")) == describe(str(source))


def test_devices_and_sockets_are_left_out_and_told(tmp_path: Path, source: Path) -> None:
    os.mknod(source / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(source / "socket"))
        copied = copy_tree([str(source)], str(tmp_path / "copy"))
    assert sorted(copied.skipped) == ["device or socket null", "device or socket socket"]


def test_links_are_copied_and_never_followed(tmp_path: Path, source: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key").write_text("secret")
    (source / "out").symlink_to("../secret")
    (source / "out2").symlink_to(tmp_path / "secret/key")
    copy_tree([str(source)], str(tmp_path / "copy"))
    assert os.readlink(tmp_path / "copy/out") == "../secret"
    assert (tmp_path / "copy/out2").is_symlink()


def test_layers_merge_as_overlay_does(tmp_path: Path) -> None:
    lower, upper = tmp_path / "lower", tmp_path / "upper"
    for folder in (lower / "a/deep", lower / "d", lower / "hidden", upper / "a", upper / "hidden"):
        folder.mkdir(parents=True)
    for path in (lower / "a/kept", lower / "a/replaced", lower / "gone", lower / "d/x", lower / "hidden/x"):
        path.write_text("lower")
    (lower / "link").symlink_to("a")
    (upper / "a/replaced").write_text("upper")
    (upper / "a").chmod(0o700)
    (upper / "link").mkdir()
    (upper / "d").write_text("a file now")
    (upper / "hidden/y").touch()
    os.setxattr(upper / "hidden", "trusted.overlay.opaque", b"y")
    os.mknod(upper / "gone", stat.S_IFCHR, os.makedev(0, 0))
    copy_tree([str(upper), str(lower)], str(tmp_path / "copy"))
    copy = tmp_path / "copy"
    assert sorted(os.listdir(copy)) == ["a", "d", "hidden", "link"]
    assert (copy / "a/kept").read_text() == "lower"
    assert (copy / "a/replaced").read_text() == "upper"
    assert (copy / "a").stat().st_mode & 0o777 == 0o700
    assert (copy / "a/deep").is_dir()
    assert (copy / "d").read_text() == "a file now"
    assert os.listdir(copy / "hidden") == ["y"]
    assert (copy / "link").is_dir()
    assert not (copy / "link").is_symlink()


def test_a_bottomless_source_is_refused(tmp_path: Path, source: Path) -> None:
    fd = os.open(source, os.O_RDONLY)
    for _ in range(MAX_DEPTH + 5):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    with pytest.raises(ImageError, match="folders deep"):
        copy_tree([str(source)], str(tmp_path / "copy"))


def test_a_missing_source_is_told(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="No such file"):
        copy_tree([str(tmp_path / "none")], str(tmp_path / "copy"))


def test_a_source_that_holds_the_target_ends(tmp_path: Path, source: Path) -> None:
    copied = copy_tree([str(source)], str(source / "in/copy"))
    assert copied.skipped == ["the copy itself at in/copy"]


def test_other_file_systems_in_a_source_are_left_out(tmp_path: Path, source: Path) -> None:
    (source / "proc").mkdir()
    pid, pidfd = process.spawn(lambda: _copy_with_a_mount(tmp_path, source))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(pidfd)


def _copy_with_a_mount(tmp_path: Path, source: Path) -> int:
    process.unshare(process.CLONE_NEWNS)
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", source / "proc"], check=True)
    (source / "proc/secret").touch()
    copied = copy_tree([str(source)], str(tmp_path / "copy"))
    kept_out = copied.skipped == ["another file system at proc"]
    return 0 if kept_out and os.listdir(tmp_path / "copy/proc") == [] else 1


@pytest.mark.requires("filesystem:btrfs", "program:mkfs.btrfs")
def test_blocks_are_shared_where_the_file_system_can(tmp_path: Path) -> None:
    with (tmp_path / "disk").open("wb") as disk:
        disk.truncate(200 << 20)
    (tmp_path / "mnt").mkdir()
    pid, pidfd = process.spawn(lambda: _copy_on_btrfs(tmp_path))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(pidfd)


def _copy_on_btrfs(tmp_path: Path) -> int:
    mount = tmp_path / "mnt"
    process.unshare(process.CLONE_NEWNS)
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    subprocess.run(["mkfs.btrfs", "-q", tmp_path / "disk"], check=True)
    subprocess.run(["mount", "-o", "loop", tmp_path / "disk", mount], check=True)
    (mount / "source").mkdir()
    (mount / "source/big").write_bytes(os.urandom(30 << 20))
    os.sync()
    before = os.statvfs(mount).f_bavail
    copy_tree([str(mount / "source")], str(mount / "copy"))
    os.sync()
    grown = (before - os.statvfs(mount).f_bavail) * os.statvfs(mount).f_bsize
    same = (mount / "copy/big").read_bytes() == (mount / "source/big").read_bytes()
    subprocess.run(["umount", mount], check=True)
    return 0 if same and grown < 5 << 20 else 1


def test_what_is_read_whole_is_bounded(tmp_path: Path, source: Path) -> None:
    """A sparse file costs its owner nothing, and whoever hashes it hours."""
    limits = Limits(file_bytes=20_000, total_bytes=25_000)
    copy_tree([str(source)], str(tmp_path / "fits"), limits=limits)
    os.truncate(source / "bin/su", 20_001)
    with pytest.raises(ImageError, match=r"larger than 20000 bytes: (bin/su|sudo)"):
        copy_tree([str(source)], str(tmp_path / "one"), limits=limits)
    os.truncate(source / "bin/su", 20_000)
    (source / "more").write_bytes(bytes(5001))
    with pytest.raises(ImageError, match="larger than 25000 bytes together"):
        copy_tree([str(source)], str(tmp_path / "all"), limits=limits)
