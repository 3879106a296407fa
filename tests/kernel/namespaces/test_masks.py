"""What of /proc and /sys a zone does not see, asserted by content, and that its root cannot undo it."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.kernel.namespaces.zones import WEB, Ground, mounts, with_namespaces
from zonectl.errors import SyscallError
from zonectl.kernel import mount, process
from zonectl.model import masks
from zonectl.model.config import MountConfig, MountKind, SecurityConfig, ZoneConfig

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.requires("root", "overlay", "userns")

HERE = tuple(path for path in masks.KEPT if os.path.exists(path))
"""What this kernel has of what is masked."""

SHOWN = {"/proc/interrupts", "/proc/kallsyms", "/sys/firmware"}
"""Of these even a zone's root reads something where they are not masked."""


def showing(*unmask: str) -> ZoneConfig:
    return replace(WEB, security=SecurityConfig(unmask=unmask))


def refused(call: Callable[[], object]) -> str:
    """The name of the error that the kernel answers; empty where it does what it is asked."""
    try:
        call()
    except (OSError, SyscallError) as error:
        return errno.errorcode[error.errno or 0]
    return ""


def value(ground: Ground, body: Callable[[], object], config: ZoneConfig = WEB, **wishes: Any) -> Any:
    outcome = ground.enter(body, config=config, **wishes)
    assert not outcome.error
    return outcome.value


def contents() -> dict[str, object]:
    """What there is to read: the text of a file, the names in a folder."""
    return {
        path: sorted(os.listdir(path)) if os.path.isdir(path) else _text(path)
        for path in (*masks.MASKED_FILES, *masks.MASKED_FOLDERS)
        if os.path.exists(path)
    }


def _text(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(4096).decode(errors="replace")
    except PermissionError:
        return "refused"


def test_some_of_it_is_there_to_be_masked() -> None:
    """Not vacuous: the host's root reads something in at least one file and one folder."""
    seen = contents()
    assert any(seen.get(path) for path in masks.MASKED_FILES)
    assert any(seen.get(path) for path in masks.MASKED_FOLDERS)


@pytest.mark.parametrize("config", [WEB, with_namespaces(user=False)], ids=["own ids", "the host's ids"])
def test_masked_paths_are_empty(ground: Ground, config: ZoneConfig) -> None:
    seen = value(ground, contents, config)
    assert set(seen) == {path for path in HERE if path not in masks.READ_ONLY}
    assert not any(seen.values())


@pytest.mark.parametrize("path", sorted({*HERE} & SHOWN))
def test_what_is_unmasked_is_shown_and_nothing_else(ground: Ground, path: str) -> None:
    seen = value(ground, contents, showing(path))
    assert seen.pop(path)
    assert not any(seen.values())


def test_all_is_shown_on_demand(ground: Ground) -> None:
    covered = [target for target, *_ in value(ground, mounts, showing("all"))]
    assert not [target for target in covered if target.startswith(("/proc/", "/sys/"))]
    assert any(value(ground, contents, showing("all")).values())


@pytest.mark.parametrize("config", [WEB, with_namespaces(user=False)], ids=["own ids", "the host's ids"])
def test_settings_of_the_host_are_read_only_and_those_of_the_own_network_are_not(
    ground: Ground, config: ZoneConfig
) -> None:
    def write() -> object:
        for setting in ("kernel/hostname", "vm/swappiness", "kernel/core_pattern"):
            text = Path("/proc/sys", setting).read_text()
            yield refused(lambda text=text, setting=setting: Path("/proc/sys", setting).write_text(text))  # type: ignore[misc]
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        yield Path("/proc/sys/net/ipv4/ip_forward").read_text()

    assert value(ground, lambda: list(write()), config) == [*["EROFS"] * 3, "1\n"]  # type: ignore[call-overload]


def test_settings_of_a_shared_network_are_read_only(ground: Ground) -> None:
    seen = value(ground, mounts, with_namespaces(net=False))
    assert "/proc/sys/net" not in [target for target, *_ in seen]


def test_a_writable_proc_sys_still_obeys_the_ids(ground: Ground) -> None:
    def write() -> object:
        text = Path("/proc/sys/vm/swappiness").read_text()
        return refused(lambda: Path("/proc/sys/vm/swappiness").write_text(text))

    assert value(ground, write, showing("/proc/sys")) == "EACCES"


def _unmount(target: str) -> str:
    at_once = refused(lambda: mount.umount(target, 0))
    return at_once and refused(lambda: mount.umount(target, mount.MNT_DETACH))


def _detach(target: str) -> str:
    """Take it away by a clone that leaves out what is mounted below."""

    def clone() -> None:
        os.close(mount.open_tree(mount.AT_FDCWD, target, mount.OPEN_TREE_CLONE))

    return refused(clone)


def test_the_zones_root_cannot_unmount_what_it_was_given(ground: Ground) -> None:
    (ground.folder / "source").mkdir()
    given = (
        MountConfig(target="/srv/given", source=str(ground.folder / "source")),
        MountConfig(target="/cache", kind=MountKind.TMPFS),
    )

    def unmount() -> object:
        return {target: _unmount(target) for target, *_ in reversed(mounts()) if target != "/"}

    answers = value(ground, unmount, mounts=given)
    assert {"/proc", "/sys", "/dev", "/srv/given", "/cache"} <= set(answers)
    assert set(answers.values()) == {"EINVAL"}


def test_the_zones_root_cannot_remount_without_a_flag(ground: Ground) -> None:
    """Each flag of each mount is taken away alone, by both calls that could."""
    flags = {
        "ro": mount.MS_RDONLY,
        "nosuid": mount.MS_NOSUID,
        "nodev": mount.MS_NODEV,
        "noexec": mount.MS_NOEXEC,
    }
    attributes = {
        "ro": mount.MOUNT_ATTR_RDONLY,
        "nosuid": mount.MOUNT_ATTR_NOSUID,
        "nodev": mount.MOUNT_ATTR_NODEV,
        "noexec": mount.MOUNT_ATTR_NOEXEC,
    }

    def weaken() -> object:
        done = []
        for target, _, _, given in mounts():
            held = [name for name in given.split(",") if name in flags]
            for name in held:
                rest = sum(flags[other] for other in held if other != name)
                old = refused(
                    lambda target=target, rest=rest: mount.mount(  # type: ignore[misc]
                        None, target, None, mount.MS_REMOUNT | mount.MS_BIND | rest
                    )
                )
                new = refused(
                    lambda target=target, name=name: _clear(target, attributes[name])  # type: ignore[misc]
                )
                done.append([target, name, old, new])
        return done

    (ground.folder / "source").mkdir()
    given = MountConfig(target="/srv", source=str(ground.folder / "source"), readonly=True, exec=False)
    seen = value(ground, weaken, mounts=(given,))
    assert {name for target, name, *_ in seen if target == "/srv"} == set(flags)
    assert {(old, new) for _, _, old, new in seen} == {("EPERM", "EPERM")}


def _clear(target: str, attribute: int) -> None:
    tree = mount.open_tree(mount.AT_FDCWD, target)
    try:
        mount.mount_setattr(tree, "", attr_clr=attribute)
    finally:
        os.close(tree)


def test_the_zones_root_cannot_look_behind_a_mask(ground: Ground) -> None:
    """A second procfs or sysfs, a bind of /proc without what is on it, an overlay of it, a pid namespace below."""

    def look() -> object:
        os.mkdir("/tmp/see")
        os.mkdir("/tmp/none")
        overlay = "lowerdir=/proc:/tmp/none,userxattr"
        return (
            refused(lambda: mount.mount("proc", "/tmp/see", "proc")),
            refused(lambda: mount.mount("sysfs", "/tmp/see", "sysfs")),
            refused(lambda: mount.mount("/proc", "/tmp/see", None, mount.MS_BIND)),
            _detach("/proc"),
            refused(lambda: mount.mount("overlay", "/tmp/see", "overlay", mount.MS_RDONLY, overlay)),
            _in_a_pid_namespace(lambda: mount.mount("proc", "/tmp/see", "proc")),
            _bound_with_all(),
        )

    assert value(ground, look) == [*["EPERM"] * 2, *["EINVAL"] * 2, "EINVAL", "EPERM", ""]


def _in_a_pid_namespace(call: Callable[[], object]) -> str:
    answers = os.pipe()

    def work() -> int:
        os.write(answers[1], refused(call).encode() or b"done")
        return 0

    flags = process.CLONE_NEWPID | process.CLONE_NEWUSER | process.CLONE_NEWNS
    _, pidfd = process.spawn(work, flags=flags)
    process.wait_pidfd(pidfd)
    return os.read(answers[0], 100).decode()


def _bound_with_all() -> str:
    """A recursive bind takes the masks along."""
    mount.mount("/proc", "/tmp/see", None, mount.MS_BIND | mount.MS_REC)
    return _text("/tmp/see/interrupts") + refused(lambda: mount.umount("/tmp/see/interrupts", 0)).replace(
        "EINVAL", ""
    )


def test_what_the_zones_root_mounts_itself_it_can_unmount(ground: Ground) -> None:
    """A probe of the probes."""

    def work() -> object:
        mount.mount("tmpfs", "/mnt", "tmpfs", mount.MS_NOSUID)
        mount.mount(None, "/mnt", None, mount.MS_REMOUNT | mount.MS_BIND)
        return _unmount("/mnt")

    assert value(ground, work) == ""


def test_where_nothing_is_masked_a_second_procfs_shows_nothing_new(ground: Ground) -> None:
    """With everything unmasked the kernel lets the zone mount one: the zone file has asked for it."""

    def work() -> object:
        mount.mount("proc", "/mnt", "proc", mount.MS_NOSUID | mount.MS_NODEV | mount.MS_NOEXEC)
        return os.path.exists("/mnt/1")

    assert value(ground, work, showing("all")) is True


def test_no_file_system_of_a_zone_honours_device_nodes(ground: Ground) -> None:
    (ground.folder / "source").mkdir()
    given = (
        MountConfig(target="/srv", source=str(ground.folder / "source")),
        MountConfig(target="/cache", kind=MountKind.TMPFS),
    )
    seen = {target: options.split(",") for target, _, _, options in value(ground, mounts, mounts=given)}
    nodes = {f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom", "tty")}
    assert {target for target, options in seen.items() if "nodev" not in options} == {*nodes, "/dev/pts"}
