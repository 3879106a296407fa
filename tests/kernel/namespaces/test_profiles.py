"""Immutable roots: what can be written to by the zone's root, and that it cannot be talked out of the rest."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.kernel.namespaces.zones import Ground, mounts, snapshot, with_namespaces, with_root
from zonectl.errors import SyscallError
from zonectl.kernel import mount
from zonectl.model.config import MountConfig, MountKind, RootMode
from zonectl.model.profiles import KEPT, WRITABLE, RootProfile

if TYPE_CHECKING:
    from collections.abc import Callable

    from zonectl.model.config import ZoneConfig

pytestmark = pytest.mark.requires("root", "overlay", "userns")

FOLDERS = (
    *(
        "/bin",
        "/etc/conf.d",
        "/home/user",
        "/opt",
        "/root",
        "/run",
        "/srv",
        "/tmp",
        "/usr/bin",
        "/var/lib/app",
    ),
    *("/var/lib/dpkg/info", "/var/log", "/var/spool/cron/crontabs", "/var/spool/mail"),
)
IMMUTABLE = [RootProfile.FIXED, RootProfile.FLEXIBLE, RootProfile.STRICT]
PLACES = {
    RootProfile.FIXED: {"/home/user", "/run", "/tmp", "/var/lib/app", "/var/log", "/var/spool/mail"},
    RootProfile.STRICT: set(),
}
PLACES[RootProfile.FLEXIBLE] = PLACES[RootProfile.FIXED] | {"/etc/conf.d", "/root"}
"""Of `FOLDERS`, those that a profile lets change: the table of the manual."""


@pytest.fixture
def filled(ground: Ground) -> Ground:
    for folder in FOLDERS:
        (ground.root / folder[1:]).mkdir(parents=True, exist_ok=True)
        (ground.root / folder[1:] / "file").write_text("installed")
    return ground


def refused(call: Callable[[], object]) -> str:
    try:
        call()
    except (OSError, SyscallError) as error:
        return errno.errorcode[error.errno or 0]
    return ""


def value(ground: Ground, body: Callable[[], object], config: ZoneConfig, **wishes: Any) -> Any:
    outcome = ground.enter(body, config=config, **wishes)
    assert not outcome.error
    assert not outcome.leaked
    return outcome.value


def attempts(folder: str) -> dict[str, str]:
    """Every way to change something in a folder, and what the kernel answers; what succeeds stays."""
    return {
        "write": refused(lambda: Path(folder, "file").write_text("changed")),
        "truncate": refused(lambda: os.truncate(f"{folder}/file", 0)),
        "create": refused(lambda: os.mknod(f"{folder}/new")),
        "mkdir": refused(lambda: os.mkdir(f"{folder}/folder")),
        "link": refused(lambda: os.symlink("file", f"{folder}/link")),
        "chmod": refused(lambda: os.chmod(f"{folder}/file", 0o4755)),
        "chown": refused(lambda: os.chown(f"{folder}/file", 1, 1)),
        "utime": refused(lambda: os.utime(f"{folder}/file", (1, 1))),
        "xattr": refused(lambda: os.setxattr(f"{folder}/file", "user.x", b"y")),
        "rename": refused(lambda: os.rename(f"{folder}/file", f"{folder}/moved")),
        "remove": refused(
            lambda: (
                os.unlink(f"{folder}/moved")
                if os.path.exists(f"{folder}/moved")
                else os.unlink(f"{folder}/file")
            )
        ),
    }


@pytest.mark.parametrize("mode", [RootMode.OVERLAY, RootMode.COPY])
@pytest.mark.parametrize("profile", IMMUTABLE)
def test_only_what_the_profile_names_can_be_written(
    filled: Ground, profile: RootProfile, mode: RootMode
) -> None:
    if mode is RootMode.COPY:
        filled.root.rename(filled.folder / "zone/root")
        filled.root.mkdir()
    seen = value(
        filled,
        lambda: {folder: attempts(folder) for folder in FOLDERS},
        with_root(profile=profile, mode=mode),
    )
    for folder, answers in seen.items():
        wanted = {""} if folder in PLACES[profile] else {"EROFS"}
        assert set(answers.values()) == wanted, (folder, answers)


def test_without_a_profile_all_of_it_can(filled: Ground) -> None:
    """A probe of the probes."""
    seen = value(filled, lambda: {folder: attempts(folder) for folder in FOLDERS}, with_root())
    assert {answer for answers in seen.values() for answer in answers.values()} == {""}


def test_the_table_is_the_models() -> None:
    for profile, places in PLACES.items():
        writable = {
            f
            for f in FOLDERS
            if f.startswith(tuple(f"{w}/" for w in WRITABLE[profile])) or f in WRITABLE[profile]
        }
        assert places == {f for f in writable if not f.startswith(KEPT)}


def tricks() -> dict[str, str]:
    """Ways around a read-only mount that the zone's root has, each refused."""
    kept, fixed = "/var/lib/dpkg", "/usr"
    return {
        "remount": refused(lambda: mount.mount(None, "/", None, mount.MS_REMOUNT | mount.MS_BIND)),
        "remount file system": refused(lambda: mount.mount(None, "/", None, mount.MS_REMOUNT)),
        "remount kept": refused(lambda: mount.mount(None, kept, None, mount.MS_REMOUNT | mount.MS_BIND)),
        "unmount kept": refused(lambda: mount.umount(kept, mount.MNT_DETACH)),
        "unmount above": refused(lambda: mount.umount("/var/lib", mount.MNT_DETACH)),
        "unmount part": refused(lambda: mount.umount("/var", mount.MNT_DETACH)),
        "rename kept": refused(lambda: os.rename(kept, "/var/lib/old")),
        "rename above": refused(lambda: os.rename("/var/lib", "/var/old")),
        "rename far above": refused(lambda: os.rename("/var/spool", "/var/old")),
        "rename part": refused(lambda: os.rename("/var", "/old")),
        "rename over": refused(lambda: os.rename("/tmp/file", f"{fixed}/bin/file")),
        "hard link out": refused(lambda: os.link(f"{fixed}/bin/file", "/var/log/same")),
        "hard link of kept": refused(lambda: os.link(f"{kept}/info/file", "/var/log/same")),
        "attribute": refused(lambda: _clear("/", 0)),
        "attribute of a clone": refused(lambda: _clear("/var/lib/dpkg", mount.OPEN_TREE_CLONE)),
        "move": refused(lambda: mount.mount("/var", "/mnt", None, mount.MS_MOVE)),
    }


def _clear(path: str, flags: int) -> None:
    tree = mount.open_tree(mount.AT_FDCWD, path, flags)
    try:
        mount.mount_setattr(tree, "", attr_clr=mount.MOUNT_ATTR_RDONLY)
    finally:
        os.close(tree)


@pytest.mark.parametrize("mode", [RootMode.OVERLAY, RootMode.COPY])
@pytest.mark.parametrize("profile", [RootProfile.FIXED, RootProfile.FLEXIBLE])
def test_no_trick_of_the_zones_root_helps(filled: Ground, profile: RootProfile, mode: RootMode) -> None:
    if mode is RootMode.COPY:
        filled.root.rename(filled.folder / "zone/root")
        filled.root.mkdir()
    answers = value(filled, tricks, with_root(profile=profile, mode=mode))
    # A remount of the file system itself that asks for nothing is granted, and changes nothing.
    answers.pop("remount file system")
    assert "" not in answers.values(), answers
    assert (
        value(filled, lambda: attempts("/usr/bin")["write"], with_root(profile=profile, mode=mode)) == "EROFS"
    )


def test_what_is_mounted_over_is_gone_at_the_next_start(filled: Ground) -> None:
    """A system manager's root can cover what it cannot change, for itself and for now."""

    def cover() -> object:
        mount.mount("/tmp", "/usr/bin", None, mount.MS_BIND)
        Path("/usr/bin/file").write_text("covered")
        return Path("/usr/bin/file").read_text()

    config = with_root(profile=RootProfile.FIXED)
    before = snapshot(filled.root)
    assert value(filled, cover, config) == "covered"
    assert value(filled, lambda: Path("/usr/bin/file").read_text(), config) == "installed"
    assert snapshot(filled.root) == before


def test_data_outlives_the_zone_and_the_rest_is_as_installed(filled: Ground) -> None:
    config = with_root(profile=RootProfile.FIXED)
    value(filled, lambda: Path("/var/log/new").write_text("kept"), config)
    read = lambda: [Path("/var/log/new").read_text(), Path("/etc/conf.d/file").read_text()]  # noqa: E731
    assert value(filled, read, config) == ["kept", "installed"]
    assert (filled.upper / "var/log/new").read_text() == "kept"


def test_what_was_changed_in_maintenance_is_what_holds_then(filled: Ground) -> None:
    value(filled, lambda: Path("/usr/bin/file").write_text("updated"), with_root())
    read = lambda: [Path("/usr/bin/file").read_text(), attempts("/usr/bin")["write"]]  # noqa: E731
    for profile in IMMUTABLE:
        assert value(filled, read, with_root(profile=profile)) == ["updated", "EROFS"]


@pytest.mark.parametrize("to", ["/usr", "/etc", "../../usr", "/proc/self/root/usr"])
def test_a_link_that_the_zone_left_does_not_open_what_it_leads_to(filled: Ground, to: str) -> None:
    """In maintenance, or before it had a profile, the zone made a link of a writable folder."""

    def leave() -> None:
        for path in sorted(Path("/tmp").iterdir()):
            path.unlink() if path.is_file() else path.rmdir()
        Path("/tmp").rmdir()
        Path("/tmp").symlink_to(to)

    value(filled, leave, with_root())
    seen = value(
        filled,
        lambda: [attempts("/usr/bin")["write"], attempts("/etc/conf.d")["write"]],
        with_root(profile=RootProfile.FIXED),
    )
    assert seen == ["EROFS", "EROFS"]


@pytest.mark.parametrize("missing", ["home", "run", "var", "var/lib", "var/lib/dpkg", "var/spool/cron"])
def test_what_the_root_has_not_is_passed_over(filled: Ground, missing: str) -> None:
    _remove(filled.root / missing)
    config = with_root(profile=RootProfile.FLEXIBLE)
    assert value(filled, lambda: attempts("/usr/bin")["write"], config) == "EROFS"
    assert not (filled.upper / missing).exists()


def _remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    with suppress(FileNotFoundError):
        folder.rmdir()


def _written(folder: str) -> str:
    return refused(lambda: Path(folder, "new").write_text("x"))


def test_mounts_of_the_zone_file_keep_their_own_flags(filled: Ground) -> None:
    source = filled.folder / "source"
    source.mkdir()
    given = (
        MountConfig(target="/opt", kind=MountKind.TMPFS),
        MountConfig(target="/srv/data", source=str(source)),
        MountConfig(target="/var/log", source=str(source), readonly=True),
    )

    def write() -> object:
        return [_written(folder) for folder in ("/opt", "/srv/data", "/var/log", "/srv")]

    for profile in IMMUTABLE:
        config = with_root(profile=profile)
        assert value(filled, write, config, mounts=given) == ["", "", "EROFS", "EROFS"]
        (source / "new").unlink()


def test_strict_is_readonly(filled: Ground) -> None:
    same = [
        value(filled, mounts, with_root(**wish))
        for wish in ({"profile": RootProfile.STRICT}, {"readonly": True})
    ]
    assert same[0] == same[1]


@pytest.mark.parametrize("profile", IMMUTABLE)
def test_a_sparse_root_has_profiles_as_well(ground: Ground, profile: RootProfile) -> None:
    (ground.root / "usr").mkdir()
    (ground.root / "var/log").mkdir(parents=True)
    for name in ("upper-usr", "work-usr"):
        (ground.folder / "zone" / name).mkdir()
    (ground.folder / "zone/upper-usr").chmod(0o755)
    config = with_root(path=None, host=True, profile=profile)

    def write() -> object:
        return [_written(folder) for folder in ("/usr", "/usr/bin", "/etc", "/var/log")]

    etc = "" if profile is RootProfile.FLEXIBLE else "EROFS"
    log = "EROFS" if profile is RootProfile.STRICT else ""
    assert value(ground, write, config) == ["EROFS", "EROFS", etc, log]


def test_zones_of_the_hosts_ids_have_profiles_as_well(filled: Ground) -> None:
    config = replace(with_namespaces(user=False), root=with_root(profile=RootProfile.FIXED).root)
    assert value(filled, lambda: [attempts("/usr/bin")["write"], attempts("/var/log")["write"]], config) == [
        "EROFS",
        "",
    ]
