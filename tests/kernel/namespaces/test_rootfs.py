"""What a zone's root is made of, and what is on disk of it, seen from inside and from the host."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from tests.kernel.namespaces.zones import (
    COPY,
    FIRST_ID,
    WEB,
    Ground,
    mounts,
    snapshot,
    with_namespaces,
    with_root,
)
from zonectl.errors import SyscallError
from zonectl.kernel import mount, process
from zonectl.model import masks
from zonectl.model.config import MountConfig, MountKind, RootMode, RootSwitch
from zonectl.model.facts import HostFacts
from zonectl.model.ids import ZONE_IDS
from zonectl.model.profiles import RootProfile

pytestmark = pytest.mark.requires("root", "overlay", "userns")


def test_nothing_of_the_host_is_visible(ground: Ground) -> None:
    def look() -> object:
        return mounts(), sorted(os.listdir("/")), Path("/proc/self/mounts").read_text()

    outcome = ground.enter(look)
    assert not outcome.error
    seen, names, table = outcome.value
    places = [(target, fstype) for target, fstype, *_ in seen]
    nodes = [(f"/dev/{name}", "devtmpfs") for name in ("null", "zero", "full", "random", "urandom", "tty")]
    kinds = dict(places)
    assert len(kinds) == len(places)
    files = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"]
    masked = {target for target in kinds if target.startswith(("/proc/", "/sys/"))}
    assert masked <= {*masks.KEPT, masks.NET_SYSCTLS}
    assert set(kinds) - masked == {
        *("/", "/proc", "/sys", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", *files),
        *(target for target, _ in nodes),
    }
    assert kinds["/"] == "overlay"
    assert names == sorted(os.listdir(ground.root))
    assert str(ground.folder) not in table


def test_attributes_hold(ground: Ground) -> None:
    outcome = ground.enter(mounts)
    options = {target: set(given.split(",")) for target, _, _, given in outcome.value}
    assert {"nosuid", "nodev", "noexec"} <= options["/proc"]
    assert {"ro", "nosuid", "nodev", "noexec"} <= options["/sys"]
    assert {"nosuid", "nodev", "noexec"} <= options["/dev"]
    assert {"nosuid", "noexec"} <= options["/dev/pts"]
    assert {"nosuid", "nodev"} <= options["/dev/shm"]
    assert "nodev" in options["/"]


def test_devices_are_the_harmless_ones_and_work(ground: Ground) -> None:
    def look() -> object:
        found = {}
        for name in sorted(os.listdir("/dev")):
            status = os.lstat(f"/dev/{name}")
            device = [os.major(status.st_rdev), os.minor(status.st_rdev)]
            found[name] = os.readlink(f"/dev/{name}") if stat.S_ISLNK(status.st_mode) else device
        with open("/dev/null", "wb") as null:
            null.write(b"x")
        with open("/dev/zero", "rb") as zero:
            assert zero.read(3) == b"\0\0\0"
        with open("/dev/urandom", "rb") as random:
            assert len(random.read(8)) == 8
        return found

    outcome = ground.enter(look)
    assert not outcome.error
    nodes = {
        "null": [1, 3],
        "zero": [1, 5],
        "full": [1, 7],
        "random": [1, 8],
        "urandom": [1, 9],
        "tty": [5, 0],
    }
    links = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1"}
    folders = {name: [0, 0] for name in ("pts", "shm", "mqueue")}
    assert outcome.value == nodes | links | folders | {"stderr": "/proc/self/fd/2", "ptmx": "pts/ptmx"}


@pytest.mark.parametrize("config", [WEB, COPY], ids=["overlay", "copy"])
def test_no_device_can_be_made_nor_used_in_the_root(ground: Ground, config: object) -> None:
    os.mknod(ground.root / "disk", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    _copied(ground)

    def try_it() -> object:
        made = _errno(lambda: os.mknod("/tmp/made", 0o666 | stat.S_IFCHR, os.makedev(1, 3)))
        used = _errno(lambda: os.close(os.open("/disk", os.O_RDONLY)))
        return made, used

    outcome = ground.enter(try_it, config=config)  # type: ignore[arg-type]
    assert not outcome.error
    assert outcome.value == ["EPERM", "EACCES"]


def _errno(call: object) -> str:
    try:
        call()  # type: ignore[operator]
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return ""


def _copied(ground: Ground) -> None:
    """The root as a copy, as create makes it."""
    shutil.copytree(
        ground.root, ground.folder / "zone/root", symlinks=True, copy_function=_copy_any, dirs_exist_ok=True
    )


def _copy_any(source: str, target: str) -> None:
    status = os.lstat(source)
    if stat.S_ISREG(status.st_mode):
        shutil.copy2(source, target)
    else:
        os.mknod(target, status.st_mode, status.st_rdev)


def test_files_are_owned_on_disk_by_whom_they_are_owned_inside(ground: Ground) -> None:
    (ground.root / "theirs").touch()
    os.chown(ground.root / "theirs", 5, 7)

    def write() -> object:
        for name, uid, gid in (("root", 0, 0), ("five", 5, 6), ("last", ZONE_IDS - 1, ZONE_IDS - 1)):
            os.close(os.open(f"/tmp/{name}", os.O_CREAT | os.O_WRONLY, 0o600))
            os.chown(f"/tmp/{name}", uid, gid)
        Path("/theirs").write_text("changed")
        status = os.stat("/theirs")
        return status.st_uid, status.st_gid, _errno(lambda: os.chown("/tmp/root", ZONE_IDS, -1))

    before = snapshot(ground.root)
    outcome = ground.enter(write)
    assert not outcome.error
    assert outcome.value == [5, 7, "EINVAL"]
    owners = {}
    for name in ("tmp/root", "tmp/five", "tmp/last", "theirs"):
        status = (ground.upper / name).stat()
        owners[name] = (status.st_uid, status.st_gid)
    last = (ZONE_IDS - 1, ZONE_IDS - 1)
    assert owners == {"tmp/root": (0, 0), "tmp/five": (5, 6), "tmp/last": last, "theirs": (5, 7)}
    assert snapshot(ground.root) == before


def test_processes_have_ids_that_own_nothing_of_the_hosts(ground: Ground) -> None:
    def look() -> object:
        status = Path("/proc/self/status").read_text()
        return os.getuid(), os.getgroups(), Path("/proc/self/uid_map").read_text().split(), "NSpid" in status

    outcome = ground.enter(look)
    assert outcome.value[:3] == [0, [], ["0", str(FIRST_ID), str(ZONE_IDS)]]


def test_whiteouts_hide_what_is_below_for_good(ground: Ground) -> None:
    (ground.root / "gone").write_text("below")
    (ground.root / "srv/folder").mkdir()
    (ground.root / "srv/folder/inner").touch()

    def remove() -> object:
        os.unlink("/gone")
        shutil.rmtree("/srv/folder")
        os.mkdir("/srv/folder")
        return os.path.exists("/gone"), os.listdir("/srv/folder")

    before = snapshot(ground.root)
    assert ground.enter(remove).value == [False, []]
    assert ground.enter(lambda: [os.path.exists("/gone"), os.listdir("/srv/folder")]).value == [False, []]
    assert snapshot(ground.root) == before


def test_a_copied_root_is_written_to_itself(ground: Ground) -> None:
    _copied(ground)

    def write() -> object:
        Path("/tmp/new").write_text("x")
        os.chown("/tmp/new", 5, 5)
        return mounts()[0][1]

    outcome = ground.enter(write, config=COPY)
    assert not outcome.error
    assert outcome.value != "overlay"
    assert (ground.folder / "zone/root/tmp/new").stat().st_uid == 5
    assert list(ground.upper.iterdir()) == []


def test_a_root_that_cannot_be_written(ground: Ground) -> None:
    def try_it() -> object:
        root = _errno(lambda: os.close(os.open("/new", os.O_CREAT | os.O_WRONLY)))
        Path("/dev/shm/new").write_text("x")
        Path("/cache/new").write_text("x")
        remount = _errno(_remount)
        return root, remount

    def _remount() -> None:
        try:
            mount.mount(None, "/", None, mount.MS_REMOUNT | mount.MS_BIND, None)
        except SyscallError as error:
            raise OSError(error.errno, "") from error

    cache = MountConfig(target="/cache", kind=MountKind.TMPFS)
    outcome = ground.enter(try_it, config=with_root(readonly=True), mounts=(cache,))
    assert not outcome.error
    assert outcome.value[0] == "EROFS"
    assert (ground.upper / "cache").is_dir()  # the mount point was made before


@pytest.mark.parametrize("config", [WEB, with_root(readonly=True)], ids=["writable", "readonly"])
def test_chroot_leads_to_the_same_root(ground: Ground, config: object) -> None:
    switched = with_root(readonly=config is not WEB, switch=RootSwitch.CHROOT)
    names = lambda: [sorted(os.listdir("/")), os.getcwd(), os.path.realpath("/..")]  # noqa: E731
    outcome = ground.enter(names, config=switched)
    assert not outcome.error
    assert outcome.value == ground.enter(names, config=config).value  # type: ignore[arg-type]


def test_mounts_of_the_zone_file(ground: Ground) -> None:
    source = ground.folder / "source"
    source.mkdir()
    (source / "file").write_text("shared")
    os.chown(source / "file", 5, 5)
    wanted = (
        MountConfig(target="/srv/deep/er", source=str(source)),
        MountConfig(target="/srv/one", source=str(source / "file"), readonly=True, recursive=False),
        MountConfig(target="/cache", kind=MountKind.TMPFS, size_bytes=1 << 16, mode=0o1777, exec=False),
    )

    def look() -> object:
        options = {target: given.split(",") for target, _, _, given in mounts()}
        Path("/srv/deep/er/new").write_text("x")
        os.chown("/srv/deep/er/new", 9, 9)
        return (
            [os.stat("/srv/deep/er/file").st_uid, Path("/srv/one").read_text()],
            _errno(lambda: os.close(os.open("/srv/one", os.O_WRONLY))),
            _errno(lambda: _fill("/cache/big")),
            oct(os.stat("/cache").st_mode & 0o7777),
            options,
        )

    outcome = ground.enter(look, mounts=wanted)
    assert not outcome.error
    shared, locked, full, mode, options = outcome.value
    assert locked in {"EROFS", "EACCES"}
    assert (shared, full, mode) == ([5, "shared"], "ENOSPC", "0o1777")
    assert {"nosuid", "nodev"} <= set(options["/srv/deep/er"])
    assert {"ro", "nosuid", "nodev"} <= set(options["/srv/one"])
    assert {"noexec", "nosuid", "nodev"} <= set(options["/cache"])
    assert (source / "new").stat().st_uid == 9


def _fill(path: str) -> None:
    with open(path, "wb") as file:
        file.write(b"x" * (1 << 20))


def test_mounts_below_a_source_come_only_when_asked_for(ground: Ground) -> None:
    """In a mount namespace of the test's own, where a tmpfs lies below the source."""
    source = ground.folder / "source"
    (source / "below").mkdir(parents=True)

    def test() -> int:
        process.unshare(process.CLONE_NEWNS)
        mount.mount(None, "/", None, mount.MS_REC | mount.MS_PRIVATE)
        mount.mount("tmpfs", str(source / "below"), "tmpfs")
        for recursive in (False, True):
            wanted = MountConfig(target="/mnt", source=str(source), recursive=recursive)
            outcome = ground.enter(mounts=(wanted,))
            assert not outcome.error
            found = {
                entry.target: entry.options for entry in outcome.mounts if entry.target.startswith("/mnt")
            }
            assert ("/mnt/below" in found) == recursive
            assert all({"nosuid", "nodev"} <= set(options) for options in found.values())
        return 0

    _, pidfd = process.spawn(test)
    assert process.wait_pidfd(pidfd, timeout_s=30) == process.ExitStatus(status=0)
    os.close(pidfd)


def test_a_sparse_root_shows_usr_and_keeps_its_changes_to_itself(ground: Ground) -> None:
    (ground.root / "usr").mkdir()
    for name in ("upper-usr", "work-usr"):
        (ground.folder / "zone" / name).mkdir()
    (ground.folder / "zone/upper-usr").chmod(0o755)

    def change() -> object:
        Path("/usr/zonectl-was-here").write_text("x")
        return sorted(os.listdir("/usr")), os.path.exists("/etc/shadow"), os.path.exists("/root")

    sparse = with_root(path=None, host=True)
    outcome = ground.enter(change, config=sparse)
    assert not outcome.error
    names, shadow, _ = outcome.value
    assert set(names) == {*os.listdir("/usr"), "zonectl-was-here"}
    assert not shadow
    assert (ground.folder / "zone/upper-usr/zonectl-was-here").stat().st_uid == 0
    assert not os.path.exists("/usr/zonectl-was-here")
    locked = with_root(path=None, host=True, readonly=True)
    assert (
        ground.enter(
            lambda: _errno(lambda: os.close(os.open("/usr/new", os.O_CREAT | os.O_WRONLY))), config=locked
        ).value
        == "EROFS"
    )


def test_the_hosts_message_queues_and_sysfs_are_shown_read_only_where_they_are_shared(ground: Ground) -> None:
    shared = with_namespaces(ipc=False, net=False, uts=False, time=False)
    facts = HostFacts(mqueue=os.path.ismount("/dev/mqueue"))

    def look() -> object:
        options = {target: given.split(",") for target, _, _, given in mounts()}
        links = sorted(os.listdir("/sys/class/net"))
        kinds = {
            kind: os.readlink(f"/proc/self/ns/{kind}")
            for kind in ("net", "ipc", "uts", "time", "user", "mnt")
        }
        return options["/sys"], options.get("/dev/mqueue"), links, kinds

    outcome = ground.enter(look, config=shared, facts=facts)
    assert not outcome.error
    sysfs, mqueue, links, kinds = outcome.value
    assert {"ro", "nosuid", "nodev", "noexec"} <= set(sysfs)
    assert mqueue is None or {"ro", "nosuid"} <= set(mqueue)
    assert "lo" in links
    ours = {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in kinds}
    assert {kind for kind in kinds if kinds[kind] == ours[kind]} == {"net", "ipc", "uts", "time"}


def test_namespaces_are_the_zones_own_by_default(ground: Ground) -> None:
    kinds = ("net", "ipc", "uts", "user", "mnt", "pid", "cgroup")

    def look() -> object:
        return (
            {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in kinds},
            os.uname().nodename,
            sorted(name for name in os.listdir("/proc") if name.isdecimal()),
        )

    outcome = ground.enter(look)
    inside, name, pids = outcome.value
    assert name == "web"
    assert len(pids) == 2  # init and this one
    assert outcome.clocks != os.readlink("/proc/self/ns/time")
    assert not [kind for kind in kinds if inside[kind] == os.readlink(f"/proc/self/ns/{kind}")]


def test_the_hosts_ids_need_no_maps(ground: Ground) -> None:
    shared = with_namespaces(user=False)

    def write() -> object:
        Path("/tmp/new").write_text("x")
        os.chown("/tmp/new", 5, 5)
        return Path("/proc/self/uid_map").read_text().split()

    outcome = ground.enter(write, config=shared)
    assert not outcome.error
    assert outcome.value == Path("/proc/self/uid_map").read_text().split()
    assert (ground.upper / "tmp/new").stat().st_uid == 5


@pytest.mark.parametrize("config", [WEB, with_root(readonly=True), with_root(switch=RootSwitch.CHROOT)])
def test_descriptors_of_the_assembly_are_all_given_back(ground: Ground, config: object) -> None:
    (ground.folder / "source").mkdir()
    wanted = (
        MountConfig(target="/mnt", source=str(ground.folder / "source")),
        MountConfig(target="/cache", kind=MountKind.TMPFS),
    )
    outcome = ground.enter(config=config, mounts=wanted)  # type: ignore[arg-type]
    assert (outcome.error, outcome.leaked) == ("", [])


def test_small_files_are_read_only_in_no_image(ground: Ground) -> None:
    """They are mounts of their own: the zone may write to them, and nothing of it reaches disk or image."""

    def write() -> object:
        before = Path("/etc/resolv.conf").read_text()
        Path("/etc/resolv.conf").write_text("changed")
        return before, oct(os.stat("/etc/hosts").st_mode), os.stat("/etc/hosts").st_uid

    outcome = ground.enter(write)
    assert outcome.value == ["nameserver 192.0.2.1\n", "0o100644", 0]
    assert (ground.upper / "etc/resolv.conf").read_text() == ""


@pytest.mark.parametrize("mode", [RootMode.OVERLAY, RootMode.COPY])
def test_the_mode_and_owner_of_the_root_itself_are_kept(ground: Ground, mode: RootMode) -> None:
    for folder in (ground.root, ground.upper):
        folder.chmod(0o751)
        os.chown(folder, 0, 3)
    _copied(ground)
    os.chown(ground.folder / "zone/root", 0, 3)
    outcome = ground.enter(
        lambda: [oct(os.stat("/").st_mode), os.stat("/").st_gid], config=with_root(mode=mode)
    )
    assert outcome.value == ["0o40751", 3]


def test_a_later_layer_hides_an_earlier_one(ground: Ground) -> None:
    first = ground.folder / "first"
    (first / "etc").mkdir(parents=True)
    (first / "etc/both").write_text("upper")
    (ground.root / "etc/both").write_text("lower")
    (ground.root / "etc/one").write_text("lower")
    bound = replace(ground.binding(), layers=(str(first), str(ground.root)))
    ground.binding = lambda: bound  # type: ignore[method-assign]
    outcome = ground.enter(lambda: [Path("/etc/both").read_text(), Path("/etc/one").read_text()])
    assert not outcome.error
    assert outcome.value == ["upper", "lower"]


@pytest.mark.parametrize(
    "config", [WEB, with_root(profile=RootProfile.FIXED), with_root(profile=RootProfile.STRICT)]
)
def test_what_is_not_done_closes_nothing_that_is_another(ground: Ground, config: object) -> None:
    """Of what stands under a condition nothing was opened, and nothing is closed: the streams stay."""
    (ground.root / "etc/hostname").symlink_to("hostname")  # a loop, which is passed over
    outcome = ground.enter(config=config)  # type: ignore[arg-type]
    assert (outcome.error, outcome.leaked) == ("", [])
