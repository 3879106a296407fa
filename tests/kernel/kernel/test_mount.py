"""Mounts, each in a mount namespace of the test's own."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

import prctl
import pytest

from zonectl.errors import SyscallError
from zonectl.kernel import attributes, idmap, mount, proc, process
from zonectl.model.ids import IdRange

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from zonectl.kernel.proc import MountEntry

    InChild = Callable[[Callable[[], object]], None]

pytestmark = pytest.mark.requires("root", "kernel:6.1")

IDS = IdRange(first=1_900_000_000)


def _at(target: object) -> list[MountEntry]:
    return [entry for entry in proc.mountinfo() if entry.target == str(target)]


def test_mount_and_umount(in_mount_namespace: InChild, tmp_path: Path) -> None:
    def body() -> None:
        flags = mount.MS_NOSUID | mount.MS_NODEV | mount.MS_NOEXEC
        mount.mount("src", tmp_path, "tmpfs", flags, "size=1m,mode=0711")
        (entry,) = _at(tmp_path)
        assert (entry.fstype, entry.source) == ("tmpfs", "src")
        assert {"nosuid", "nodev", "noexec"} <= set(entry.options)
        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o711
        mount.umount(tmp_path)
        assert not _at(tmp_path)
        with pytest.raises(SyscallError) as caught:
            mount.umount(tmp_path)
        assert (caught.value.call, caught.value.errno) == ("umount2", errno.EINVAL)

    in_mount_namespace(body)


def test_bind_and_read_only(in_mount_namespace: InChild, tmp_path: Path) -> None:
    def body() -> None:
        source, target = tmp_path / "a b", tmp_path / "to"
        source.mkdir()
        target.mkdir()
        mount.mount(source, target, None, mount.MS_BIND)
        mount.mount(None, target, None, mount.MS_REMOUNT | mount.MS_BIND | mount.MS_RDONLY)
        (entry,) = _at(target)
        assert entry.root.endswith("/a b")
        with pytest.raises(OSError, match="Read-only"):
            (target / "file").touch()
        mount.umount(target, mount.MNT_DETACH)

    in_mount_namespace(body)


def test_mount_of_an_unknown_kind(in_mount_namespace: InChild, tmp_path: Path) -> None:
    def body() -> None:
        with pytest.raises(SyscallError) as caught:
            mount.mount(None, tmp_path, "nonsense")
        assert (caught.value.errno, caught.value.subject) == (errno.ENODEV, f"nonsense on {tmp_path}")

    in_mount_namespace(body)


def test_pivot_root(in_mount_namespace: InChild, tmp_path: Path) -> None:
    def body() -> None:
        mount.mount("tmpfs", tmp_path, "tmpfs")
        (tmp_path / "here").touch()
        os.chdir(tmp_path)
        mount.pivot_root(".", ".")
        mount.umount(".", mount.MNT_DETACH)
        assert os.listdir("/") == ["here"]

    in_mount_namespace(body)


def test_a_file_system_by_descriptors(in_mount_namespace: InChild, tmp_path: Path, open_fds: object) -> None:
    def body() -> None:
        context = mount.fsopen("tmpfs")
        mount.fsconfig_string(context, "size", "1m")
        mount.fsconfig_string(context, "source", "made")
        mount.fsconfig_flag(context, "ro")
        mount.fsconfig_create(context)
        detached = mount.fsmount(context, mount.MOUNT_ATTR_NOSUID)
        assert mount.fs_magic(detached) == mount.TMPFS_MAGIC
        assert not os.get_inheritable(context)
        assert not os.get_inheritable(detached)
        target = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
        mount.move_mount(detached, "", target, "")
        (entry,) = _at(tmp_path)
        assert (entry.source, "nosuid" in entry.options) == ("made", True)
        assert "ro" in entry.super_options

    in_mount_namespace(body)


def test_the_kernels_message_is_in_the_error() -> None:
    context = mount.fsopen("tmpfs")
    try:
        with pytest.raises(SyscallError) as caught:
            mount.fsconfig_string(context, "nonsense", "1")
    finally:
        os.close(context)
    assert caught.value.errno == errno.EINVAL
    assert "Unknown parameter 'nonsense'" in caught.value.message


def test_open_tree_copies_a_mount(in_mount_namespace: InChild, tmp_path: Path) -> None:
    def body() -> None:
        (tmp_path / "from").mkdir()
        (tmp_path / "to").mkdir()
        (tmp_path / "from/file").touch()
        tree = mount.open_tree(mount.AT_FDCWD, tmp_path / "from", mount.OPEN_TREE_CLONE | mount.AT_RECURSIVE)
        assert not os.get_inheritable(tree)
        mount.mount_setattr(
            tree,
            attr_set=mount.MOUNT_ATTR_RDONLY | mount.MOUNT_ATTR_NODEV,
            recursive=True,
            propagation=mount.MS_PRIVATE,
        )
        mount.mount_setattr(tree, attr_clr=mount.MOUNT_ATTR_NODEV)
        mount.move_mount(tree, to_path=tmp_path / "to")
        (entry,) = _at(tmp_path / "to")
        assert "ro" in entry.options
        assert "nodev" not in entry.options
        assert (tmp_path / "to/file").exists()

    in_mount_namespace(body)


def test_propagation_is_set(in_mount_namespace: InChild, tmp_path: Path) -> None:
    def body() -> None:
        mount.mount("tmpfs", tmp_path, "tmpfs")
        mount.mount_setattr(mount.AT_FDCWD, tmp_path, propagation=mount.MS_SHARED)
        (entry,) = _at(tmp_path)
        assert entry.propagation[0].startswith("shared:")

    in_mount_namespace(body)


def test_mount_setattr_does_not_follow_a_link(in_mount_namespace: InChild, tmp_path: Path) -> None:
    def body() -> None:
        (tmp_path / "mounted").mkdir()
        (tmp_path / "link").symlink_to("mounted")
        mount.mount("tmpfs", tmp_path / "mounted", "tmpfs")
        with pytest.raises(SyscallError) as caught:
            mount.mount_setattr(mount.AT_FDCWD, tmp_path / "link", attr_set=mount.MOUNT_ATTR_RDONLY)
        assert caught.value.errno == errno.EINVAL

    in_mount_namespace(body)


def test_idmapped_mount(in_mount_namespace: InChild, tmp_path: Path) -> None:
    """On disk files are root's; through the mount they belong to the zone's ids, and back."""

    def body() -> None:
        source, target = tmp_path / "source", tmp_path / "target"
        source.mkdir()
        target.mkdir()
        (source / "roots").touch()
        (source / "fives").touch()
        os.chown(source / "fives", 5, 5)
        namespace = idmap.user_namespace(IDS)
        tree = mount.open_tree(mount.AT_FDCWD, source, mount.OPEN_TREE_CLONE)
        mount.mount_setattr(tree, userns_fd=namespace)
        mount.move_mount(tree, to_path=target)
        assert (target / "roots").stat().st_uid == IDS.first
        assert (target / "fives").stat().st_uid == IDS.first + 5
        prctl.securebits.no_setuid_fixup = True
        process.setfsgid(IDS.first + 7)
        process.setfsuid(IDS.first + 7)
        (target / "made").touch()
        assert ((source / "made").stat().st_uid, (source / "made").stat().st_gid) == (7, 7)
        with pytest.raises(SyscallError) as caught:
            mount.mount_setattr(mount.AT_FDCWD, target, userns_fd=namespace)
        assert caught.value.errno in (errno.EPERM, errno.EINVAL)  # mapped once, and attached

    in_mount_namespace(body)


def test_maps_of_a_user_namespace() -> None:
    namespace = idmap.user_namespace(IDS)
    pid, pidfd = process.fork()
    if pid == 0:
        try:
            process.setns(namespace, process.CLONE_NEWUSER)
            with (
                open("/proc/self/uid_map", encoding="ascii") as users,
                open("/proc/self/gid_map", encoding="ascii") as groups,
            ):
                maps = [file.read().split() for file in (users, groups)]
            os._exit(int(maps != [["0", str(IDS.first), "65536"]] * 2))
        finally:
            os._exit(70)
    os.close(namespace)
    assert process.wait_pidfd(pidfd) == process.ExitStatus(status=0)
    os.close(pidfd)


def test_become_root_without_privileges(in_child: InChild) -> None:
    def body() -> None:
        attributes.setresgid(65534, 65534, 65534)
        attributes.setresuid(65534, 65534, 65534)
        process.set_dumpable(True)  # /proc/self belongs to us again
        idmap.become_root_of_new_namespaces(process.CLONE_NEWUTS)
        assert (os.getuid(), os.getgid()) == (0, 0)
        process.sethostname("mine")

    in_child(body)


def test_magic_of_proc() -> None:
    fd = os.open("/proc", os.O_PATH)
    assert mount.fs_magic(fd) == mount.PROC_SUPER_MAGIC
    os.close(fd)
