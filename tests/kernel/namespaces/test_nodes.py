"""Device nodes of the zone file, and settings of the zone's namespaces, in a root that is put together for real."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.kernel.namespaces.zones import WEB, Ground, mounts, with_namespaces
from zonectl.kernel import proc
from zonectl.model.config import DeviceConfig, ZoneConfig

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.requires("root", "overlay", "userns")

ZERO = os.makedev(1, 5)
"""A device that can be opened without a capability over the host."""


def with_devices(*devices: DeviceConfig, config: ZoneConfig = WEB) -> ZoneConfig:
    return replace(config, devices=devices)


def with_settings(settings: dict[str, str], config: ZoneConfig = WEB) -> ZoneConfig:
    return replace(config, sysctl=tuple(settings.items()))


def value(ground: Ground, body: Callable[[], object], config: ZoneConfig) -> Any:
    outcome = ground.enter(body, config=config)
    assert not outcome.error
    assert not outcome.leaked
    return outcome.value


def look(*paths: str) -> Callable[[], object]:
    def work() -> object:
        found = {path: os.stat(path) for path in paths}
        return [
            [stat.filemode(s.st_mode), s.st_uid, s.st_gid, s.st_rdev == ZERO, _opened(path)]
            for path, s in found.items()
        ]

    return work


def _opened(path: str) -> str:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return ""


def test_a_device_is_there_with_the_zones_ids(ground: Ground) -> None:
    """The group's program is the cgroup room's to test: here the node itself is what lets the zone's root open it."""
    config = with_devices(
        DeviceConfig(path="/dev/zero", target="/dev/own"),
        DeviceConfig(path="/dev/zero", target="/dev/deep/er/log", mode=0o640),
    )
    same = stat.filemode(os.stat("/dev/zero").st_mode)
    seen = value(ground, look("/dev/own", "/dev/deep/er/log"), config)
    assert seen == [[same, 0, 0, True, ""], ["crw-r-----", 0, 0, True, ""]]
    assert os.stat("/dev/zero").st_uid == 0


def test_without_it_there_is_none(ground: Ground) -> None:
    assert value(ground, lambda: os.path.exists("/dev/own"), WEB) is False


def test_its_mount_is_no_way_to_other_nodes(ground: Ground) -> None:
    """Each node is a mount of its own; the file system that they are on is not seen, and is the host's."""
    config = with_devices(DeviceConfig(path="/dev/zero", target="/dev/own"))

    def work() -> object:
        seen = {target: options.split(",") for target, _, _, options in mounts()}
        try:
            os.mknod("/dev/null2", stat.S_IFCHR | 0o600, os.makedev(1, 3))
        except OSError as error:
            return seen["/dev/own"], [t for t in seen if t.startswith("/dev/") and "/" in t[5:]], error.errno
        return None

    options, deeper, number = value(ground, work, config)
    assert {"nosuid", "noexec"} <= set(options)
    assert "nodev" not in options
    assert not deeper
    assert number == errno.EPERM


def test_it_works_with_the_hosts_ids_as_well(ground: Ground) -> None:
    config = with_devices(
        DeviceConfig(path="/dev/zero", target="/dev/own", mode=0o600), config=with_namespaces(user=False)
    )
    assert value(ground, look("/dev/own"), config) == [["crw-------", 0, 0, True, ""]]


@pytest.mark.parametrize("path", ["/etc/hostname", "/dev/pts", "/dev/no-such-device"])
def test_what_is_no_device_is_refused_before_anything_is_mounted(ground: Ground, path: str) -> None:
    before = proc.mountinfo()
    with pytest.raises(Exception, match=path):
        ground.enter(config=with_devices(DeviceConfig(path=path, target="/dev/own")))
    assert proc.mountinfo() == before


def test_a_target_that_leads_out_of_dev_stays_in_the_root(ground: Ground) -> None:
    """/dev is made anew, so that no link in the root's own can be met."""
    (ground.root / "dev/deep").symlink_to(ground.host / "folder")
    config = with_devices(DeviceConfig(path="/dev/zero", target="/dev/deep/log"))
    assert value(ground, lambda: os.path.islink("/dev/deep"), config) is False
    assert sorted(os.listdir(ground.host / "folder")) == ["inner"]


def read(*names: str) -> Callable[[], object]:
    return lambda: [Path("/proc/sys", name.replace(".", "/")).read_text().strip() for name in names]


SETTINGS = {
    "net.ipv4.ip_forward": "1",
    "net.ipv4.ip_unprivileged_port_start": "80",
    "kernel.shmmax": "1048576",
    "kernel.sem": "250\t32000\t32\t128",
    "fs.mqueue.msg_max": "7",
    "kernel.domainname": "example.org",
    "user.max_user_namespaces": "0",
}


@pytest.mark.requires("kernel:6.12")
def test_settings_hold_in_the_zone_and_nowhere_else(ground: Ground) -> None:
    names = tuple(SETTINGS)
    before = read(*names)()
    assert value(ground, read(*names), with_settings(SETTINGS)) == list(SETTINGS.values())
    assert read(*names)() == before
    assert before != list(SETTINGS.values())


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("net.ipv4.no_such", "1", "HostLacks: this kernel has no net.ipv4.no_such"),
        ("net.ipv4.ip_forward", "many", "ZonectlError: the kernel refuses the value of net.ipv4.ip_forward"),
        ("kernel.shmall.deep", "1", "ZonectlError: the kernel refuses"),
        ("net.ipv4.conf", "1", "ZonectlError: the kernel refuses"),
    ],
)
def test_what_the_kernel_refuses_stops_the_start(ground: Ground, name: str, text: str, message: str) -> None:
    assert ground.enter(config=with_settings({name: text})).error.startswith(message)


def test_a_setting_of_the_hosts_is_refused_by_the_kernel_as_well(ground: Ground) -> None:
    """The validator refuses it before; this is the wall behind."""
    before = Path("/proc/sys/vm/swappiness").read_text()
    outcome = ground.enter(config=with_settings({"vm.swappiness": before.strip()}))
    assert outcome.error.startswith("HostLacks: this kernel lets only the host's root set vm.swappiness")


@pytest.mark.parametrize("kind", ["link", "folder", "file"])
def test_the_zones_own_proc_has_no_say(ground: Ground, kind: str) -> None:
    """A root whose /proc leads to look-alikes of the settings: they are not written (CVE-2025-52881)."""
    fake = ground.folder / "fake/sys/net/ipv4"
    fake.mkdir(parents=True)
    (fake / "ip_forward").write_text("untouched")
    (ground.root / "proc").rmdir()
    match kind:
        case "link":
            (ground.root / "proc").symlink_to(ground.folder / "fake")
        case "folder":
            (ground.root / "proc/sys").mkdir(parents=True)
        case _:
            (ground.root / "proc").touch()
    ground.enter(config=with_settings({"net.ipv4.ip_forward": "1"}))
    assert (fake / "ip_forward").read_text() == "untouched"
