"""What stands where in a root that somebody else has put together."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from zonectl.errors import SyscallError
from zonectl.kernel import mount, process
from zonectl.namespaces.standing import standings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from zonectl.model.audit import Standing

pytestmark = pytest.mark.requires("root")


@contextmanager
def lives_in(root: Path, prepare: Callable[[], None]) -> Iterator[int]:
    """A process whose root is `root`, in mounts of its own, which `prepare` has altered."""
    ready, say = os.pipe()

    def live() -> int:
        process.unshare(process.CLONE_NEWNS)
        mount.mount(None, "/", None, mount.MS_REC | mount.MS_PRIVATE)
        mount.mount(str(root), str(root), None, mount.MS_BIND)
        os.chdir(root)
        prepare()
        mount.pivot_root(".", ".")
        mount.umount(".", mount.MNT_DETACH)
        os.write(say, b".")
        signal.pause()
        return 0

    pid, pidfd = process.spawn(live)
    os.close(say)
    try:
        assert os.read(ready, 1) == b"."
        yield pid
    finally:
        process.kill_and_reap(pidfd)
        os.close(ready)


def one(pid: int, path: str) -> Standing:
    (found,) = standings(pid, [path])
    return found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "root"
    for name in ("a", "full/of", "dev", "proc"):
        (made / name).mkdir(parents=True)
    (made / "file").write_text("text")
    (made / "nothing").touch()
    (made / "link").symlink_to("/a")
    (made / "loop").symlink_to("loop")
    return made


def test_mounts_and_their_flags(root: Path) -> None:
    def prepare() -> None:
        mount.mount("none", "a", "tmpfs", mount.MS_NOSUID | mount.MS_NOEXEC)

    with lives_in(root, prepare) as pid:
        found = one(pid, "/a")
        assert (found.mounted, found.fstype, found.kind) == (True, "tmpfs", "empty folder")
        assert {"nosuid", "noexec"} <= found.options
        assert not {"nodev", "ro"} & found.options
        assert one(pid, "/link").options == found.options
        assert one(pid, "/").mounted


def test_what_is_on_top_counts(root: Path) -> None:
    def prepare() -> None:
        mount.mount("none", "a", "tmpfs", mount.MS_NODEV)
        mount.mount("full", "a", None, mount.MS_BIND)

    with lives_in(root, prepare) as pid:
        found = one(pid, "/a")
        assert (found.mounted, found.kind, "nodev" in found.options) == (True, "folder", False)


def test_a_read_only_file_system_is_read_only_whatever_its_mount_says(root: Path) -> None:
    def prepare() -> None:
        mount.mount("none", "a", "tmpfs", mount.MS_RDONLY)
        mount.mount(None, "a", None, mount.MS_REMOUNT | mount.MS_BIND)

    with lives_in(root, prepare) as pid:
        assert "ro" in one(pid, "/a").options


def test_what_is_no_mount(root: Path) -> None:
    with lives_in(root, lambda: None) as pid:
        found = one(pid, "/a")
        assert (found.mounted, found.reason) == (False, "not a mount")
        assert one(pid, "/file").kind == "file"
        # On a disk, and so of unknown content: only a cover of ours, on a tmpfs, is known to be empty.
        assert one(pid, "/nothing").kind == "file"
        assert one(pid, "/gone").reason == "no such file or directory"
        assert one(pid, "/loop").reason == "too many levels of symbolic links"


def test_devices_by_their_number(root: Path) -> None:
    def prepare() -> None:
        (root / "dev/null").touch()
        mount.mount("/dev/null", "dev/null", None, mount.MS_BIND)

    with lives_in(root, prepare) as pid:
        assert one(pid, "/dev/null").kind == "device 1:3"


def test_an_empty_file_over_a_file(root: Path) -> None:
    def prepare() -> None:
        mount.mount("none", "a", "tmpfs")
        (root / "a/cover").touch()
        mount.mount("a/cover", "file", None, mount.MS_BIND)

    with lives_in(root, prepare) as pid:
        assert (one(pid, "/file").kind, one(pid, "/file").mounted) == ("empty file", True)


def test_links_to_the_outside_lead_nowhere(root: Path) -> None:
    (root / "out").symlink_to("/proc/self/root/etc")
    (root / "up").symlink_to("../../../../../../etc/passwd")

    def prepare() -> None:
        mount.mount("proc", "proc", "proc")

    with lives_in(root, prepare) as pid:
        assert one(pid, "/out").kind == ""
        assert one(pid, "/up").reason == "no such file or directory"


def test_a_fifo_is_not_waited_for(root: Path) -> None:
    os.mkfifo(root / "fifo")
    with lives_in(root, lambda: None) as pid:
        assert one(pid, "/fifo").kind == "fifo"


def test_who_is_gone() -> None:
    pid, pidfd = process.spawn(lambda: 0)
    process.wait_pidfd(pidfd)
    os.close(pidfd)
    with pytest.raises(SyscallError):
        standings(pid, ["/"])
