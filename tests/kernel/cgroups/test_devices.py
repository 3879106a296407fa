"""The device program in the kernel: loaded, attached to a group, and asked by processes in it."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from tests.kernel.cgroups.groups import PAYLOAD, ZONE, Ground
from zonectl.cgroups import devices
from zonectl.cgroups.steps.kinds import FilterDevices
from zonectl.errors import SyscallError, ZonectlError
from zonectl.kernel import bpf
from zonectl.model.devices import NODES, USUAL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.requires("root", "cgroup2", "device_program")

KMSG = "/dev/kmsg"
"""A device that is on every host, and that no zone has."""


@pytest.fixture
def zone(groups: Ground) -> Ground:
    """A zone's groups, with the usual devices."""
    groups.make()
    groups.tree.apply(FilterDevices(path=str(groups.path())))
    return groups


def opens(path: str, flags: int = os.O_RDONLY) -> Callable[[], int]:
    """Whose status is the errno of opening `path`, 0 where it can be opened."""

    def attempt() -> int:
        try:
            os.close(os.open(path, flags | os.O_NONBLOCK))
        except OSError as error:
            return error.errno or 255
        return 0

    return attempt


def makes(path: Path, number: int, kind: int = stat.S_IFCHR) -> Callable[[], int]:
    """Whose status is the errno of making a node."""

    def attempt() -> int:
        try:
            os.mknod(path, kind | 0o600, number)
        except OSError as error:
            return error.errno or 255
        return 0

    return attempt


@pytest.mark.parametrize("name", sorted(set(NODES) - {"tty"}))
def test_usual_devices_can_be_opened(zone: Ground, name: str) -> None:
    assert zone.run(opens(f"/dev/{name}", os.O_RDWR)) == 0


def test_terminals_can_be_opened(zone: Ground) -> None:
    def attempt() -> int:
        master, slave = os.openpty()
        os.close(slave)
        os.close(master)
        return 0

    assert zone.run(attempt) == 0


def test_other_devices_cannot_though_root_asks(zone: Ground) -> None:
    assert opens(KMSG)() == 0
    assert zone.run(opens(KMSG)) == 1  # EPERM
    assert zone.run(opens(KMSG, os.O_WRONLY)) == 1


def test_nor_in_groups_that_are_made_below(zone: Ground) -> None:
    group = f"{PAYLOAD}/deep/er"
    zone.path(group).mkdir(parents=True)
    assert zone.run(opens(KMSG), group) == 1
    assert zone.run(opens("/dev/null"), group) == 0


def test_no_node_can_be_made(zone: Ground, tmp_path: Path) -> None:
    for name, number, kind in (
        ("kmsg", os.makedev(1, 11), stat.S_IFCHR),
        ("null", os.makedev(1, 3), stat.S_IFCHR),
        ("loop", os.makedev(7, 0), stat.S_IFBLK),
    ):
        assert zone.run(makes(tmp_path / name, number, kind)) == 1
        assert not (tmp_path / name).exists()
    assert makes(tmp_path / "outside", os.makedev(1, 3))() == 0


def test_whiteouts_of_overlays_are_no_devices(zone: Ground, tmp_path: Path) -> None:
    """mknod(2) of 0:0, with which an overlay notes what is gone."""
    assert zone.run(makes(tmp_path / "gone", 0)) == 0


def test_a_node_that_the_zone_comes_by_is_of_no_use(zone: Ground, tmp_path: Path) -> None:
    node = tmp_path / "innocent"
    os.mknod(node, stat.S_IFCHR | 0o666, os.makedev(1, 11))
    assert opens(str(node))() == 0
    assert zone.run(opens(str(node))) == 1


def test_devices_of_the_zone_file_are_allowed_as_far_as_it_says(groups: Ground) -> None:
    groups.make()
    groups.tree.apply(FilterDevices(path=str(groups.path()), devices=((KMSG, "r"),)))
    assert groups.run(opens(KMSG)) == 0
    assert groups.run(opens(KMSG, os.O_WRONLY)) == 1
    assert groups.run(opens("/dev/null")) == 0


def test_who_is_not_in_the_group_is_not_asked(zone: Ground) -> None:
    assert zone.path().is_dir()
    assert opens(KMSG)() == 0


def test_without_the_program_the_same_is_allowed(groups: Ground) -> None:
    """A probe of the probes."""
    groups.make()
    assert groups.run(opens(KMSG)) == 0


def test_it_stays_when_its_loader_has_gone(groups: Ground) -> None:
    groups.make()
    pid = os.fork()
    if pid == 0:
        groups.tree.apply(FilterDevices(path=str(groups.path())))
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert groups.run(opens(KMSG)) == 1


def test_what_is_attached_can_be_told(zone: Ground) -> None:
    loaded = bpf.load_device_program(devices.program(USUAL), "expected")
    group = os.open(zone.path(), os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert bpf.device_programs(group) == (bpf.program_tag(loaded),)
    finally:
        os.close(group)
        os.close(loaded)


def test_nothing_is_attached_elsewhere(zone: Ground) -> None:
    group = os.open(zone.path(ZONE).parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert bpf.device_programs(group) == ()
    finally:
        os.close(group)


def test_a_program_that_was_prepared_is_the_same(groups: Ground) -> None:
    ready = devices.Prepared()
    before = _programs()
    ready.prepare()
    ready.prepare()
    assert len(_programs() - before) == 1
    taken, other = ready.take(USUAL), ready.take(USUAL[:3])
    loaded = bpf.load_device_program(devices.program(USUAL), "expected")
    try:
        assert bpf.program_tag(taken) == bpf.program_tag(loaded) != bpf.program_tag(other)
    finally:
        for fd in (taken, other, loaded):
            os.close(fd)
    for fd in _programs() - before:
        os.close(fd)
    assert _programs() == before
    assert groups.facts.mount


def _programs() -> set[int]:
    """The descriptors of programs that this process holds."""
    return {
        fd
        for fd in range(256)
        if os.path.exists(f"/proc/self/fd/{fd}") and "bpf" in os.readlink(f"/proc/self/fd/{fd}")
    }


@pytest.mark.parametrize("path", ["/etc/hostname", "/etc", "/dev/no-such-device"])
def test_what_is_no_device_is_refused(groups: Ground, path: str) -> None:
    groups.make()
    with pytest.raises(ZonectlError, match=path):
        groups.tree.apply(FilterDevices(path=str(groups.path()), devices=((path, "r"),)))


def test_the_verifier_is_asked(groups: Ground) -> None:
    with pytest.raises(SyscallError, match="device program"):
        bpf.load_device_program(b"\x95" + bytes(7), "no_result")
    assert groups.facts.mount
