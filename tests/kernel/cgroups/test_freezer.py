"""Freezing needs no controller: it works on hybrid hosts as well."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kernel.cgroups.groups import PAYLOAD, ZONE, Ground, apart
from tests.patience import eventually
from zonectl.errors import SyscallError, TimedOut
from zonectl.kernel import process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.requires("root", "cgroup2")


def counting(path: Path) -> Callable[[], int]:
    """A process that makes the file at `path` longer all the time."""

    def count() -> int:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        while True:
            os.write(fd, b".")
            time.sleep(0.001)

    return count


def goes_on(path: Path) -> bool:
    before = path.stat().st_size
    return eventually(lambda: path.stat().st_size > before + 5)


def test_what_is_frozen_stands_still_and_goes_on(groups: Ground, tmp_path: Path) -> None:
    groups.make()
    dots = tmp_path / "dots"
    with groups.running(counting(dots)):
        assert eventually(dots.exists)
        assert goes_on(dots)
        assert not groups.tree.is_frozen(ZONE)
        groups.tree.freeze(ZONE, timeout_s=20)
        assert groups.tree.is_frozen(ZONE)
        assert groups.tree.stats(ZONE).frozen
        size = dots.stat().st_size
        time.sleep(0.1)
        assert dots.stat().st_size == size
        groups.tree.thaw(ZONE)
        assert not groups.tree.is_frozen(ZONE)
        assert goes_on(dots)


def test_freezing_twice_and_an_empty_group(groups: Ground) -> None:
    groups.make()
    groups.tree.freeze(ZONE, timeout_s=20)
    groups.tree.freeze(ZONE, timeout_s=20)
    assert groups.tree.is_frozen(ZONE)
    groups.tree.thaw(ZONE)
    groups.tree.thaw(ZONE)
    assert not groups.tree.is_frozen(ZONE)


def test_a_zone_that_freezes_itself_is_not_paused(groups: Ground) -> None:
    groups.make()
    (groups.path(PAYLOAD) / "inner").mkdir()
    (groups.path(PAYLOAD) / "inner" / "cgroup.freeze").write_text("1")
    assert groups.tree.is_frozen(f"{PAYLOAD}/inner")
    assert not groups.tree.is_frozen(ZONE)


@contextmanager
def frozen_disk(folder: Path) -> Iterator[Path]:
    """A file system on which writers sleep uninterruptibly, seen in the caller's new mount namespace alone."""
    process.unshare(process.CLONE_NEWNS)
    image, mount = folder / "image", folder / "mount"
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(8 * 1024**2)
    for command in ("mount --make-rprivate /", f"mkfs.ext4 -q {image}", f"mount -o loop {image} {mount}"):
        subprocess.run(command.split(), check=True)
    subprocess.run(["fsfreeze", "--freeze", mount], check=True)
    try:
        yield mount
    finally:
        subprocess.run(["fsfreeze", "--unfreeze", mount], check=True)
        subprocess.run(["umount", "--lazy", mount], check=True)


@pytest.mark.requires("loop", "program:mkfs.ext4", "program:fsfreeze")
def test_what_sleeps_in_the_kernel_is_neither_frozen_nor_killed_in_time(
    groups: Ground, tmp_path: Path
) -> None:
    groups.make()

    def meet() -> int:
        with frozen_disk(tmp_path) as disk:
            pid = groups.born(counting(disk / "dots"))
            assert eventually(lambda: " (disk sleep)\n" in Path(f"/proc/{pid}/status").read_text())
            with pytest.raises(TimedOut, match=r"did not stop within 0\.3 s"):
                groups.tree.freeze(ZONE, timeout_s=0.3)
            assert groups.read("cgroup.freeze") == "0"
            with pytest.raises(TimedOut, match=rf"^pid {pid} did not end within 0\.3 s$"):
                groups.tree.kill(ZONE, timeout_s=0.3)
            with pytest.raises(TimedOut):
                groups.tree.remove(ZONE, timeout_s=0.3)
            assert groups.tree.exists(PAYLOAD)
        os.waitpid(pid, 0)
        return 0

    assert apart(meet) == 0
    groups.tree.remove(ZONE)
    assert not groups.tree.exists(ZONE)


def test_freezing_what_is_not_there(groups: Ground) -> None:
    with pytest.raises(SyscallError, match="No such file"):
        groups.tree.freeze(ZONE)
    assert not groups.tree.is_frozen(ZONE)


def test_thawing_below_a_frozen_group_is_an_error(groups: Ground) -> None:
    groups.make()
    (groups.path("zonectl-test") / "cgroup.freeze").write_text("1")
    with pytest.raises(TimedOut, match="a group above it may be frozen"):
        groups.tree.thaw(ZONE)
