"""Roots that were made to reach the host: each is put together inside itself, or refused; the host is untouched."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kernel.namespaces.zones import WEB, Ground, Outcome, mounts, snapshot, with_root
from zonectl.model.config import MountConfig, MountKind, RootMode, RootSwitch
from zonectl.model.masks import READ_ONLY

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.requires("root", "overlay", "userns")

PLACES = (
    *(
        "dev",
        "dev/null",
        "dev/pts",
        "dev/shm",
        "proc",
        "sys",
        "sys/fs/cgroup",
        "etc",
        "etc/hostname",
        "etc/hosts",
    ),
    *("etc/resolv.conf", "mnt", "srv", "srv/file", "srv/new", "usr"),
)
WANTED_FOLDER = "/mnt"
WANTED_FILE = "/srv/file"


def _link(to: Callable[[Ground], str]) -> Callable[[Ground, Path], None]:
    return lambda ground, place: place.symlink_to(to(ground))


def _socket(_ground: Ground, place: Path) -> None:
    here = os.getcwd()
    os.chdir(place.parent)  # the path of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(place.name)
    finally:
        os.chdir(here)


def _chain(ground: Ground, place: Path) -> None:
    (ground.root / "tmp/a").symlink_to("b")
    (ground.root / "tmp/b").symlink_to("../../../../../../../.." + str(ground.host / "folder"))
    place.symlink_to("/tmp/a")


KINDS: dict[str, Callable[[Ground, Path], None]] = {
    "link to a folder of the host": _link(lambda ground: str(ground.host / "folder")),
    "link to a file of the host": _link(lambda ground: str(ground.host / "canary")),
    "link out by dots to a folder": _link(
        lambda ground: "../" * 40 + str(ground.host / "folder").lstrip("/")
    ),
    "link out by dots to a file": _link(lambda ground: "../" * 40 + str(ground.host / "canary").lstrip("/")),
    "chain of links": _chain,
    "link to itself": _link(lambda _ground: "."),
    "loop": lambda _ground, place: place.symlink_to(place.name),
    "link to the host's root through proc": _link(lambda ground: f"/proc/1/root{ground.host}/folder"),
    "link to a descriptor": _link(lambda _ground: "/proc/self/fd/3"),
    "link to the working directory": _link(lambda ground: f"/proc/self/cwd/../..{ground.host}/folder"),
    "link to a device": _link(lambda _ground: "/dev/zero"),
    "link to nowhere": _link(lambda _ground: "/not/there/at/all"),
    "fifo": lambda _ground, place: os.mkfifo(place),
    "socket": _socket,
    "device": lambda _ground, place: os.mknod(place, 0o666 | stat.S_IFCHR, os.makedev(1, 5)),
    "file": lambda _ground, place: place.touch(),
    "folder": lambda _ground, place: place.mkdir(),
}


LEADS_OUT = {
    "link to a folder of the host": "folder",
    "link to a file of the host": "canary",
    "link out by dots to a folder": "folder",
    "link out by dots to a file": "canary",
}


def _spoil(ground: Ground, place: str, kind: str) -> Path:
    path = ground.root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir() and not path.is_symlink():
        for inner in sorted(path.rglob("*"), reverse=True):
            inner.unlink() if inner.is_file() else inner.rmdir()
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
    KINDS[kind](ground, path)
    return path


def _mounts(ground: Ground) -> tuple[MountConfig, ...]:
    source = ground.folder / "source"
    source.mkdir()
    (source / "file").write_text("shared")
    return (
        MountConfig(target=WANTED_FOLDER, source=str(source)),
        MountConfig(target=WANTED_FILE, source=str(source / "file"), recursive=False),
        MountConfig(target="/srv/new/deep", source=str(source)),
    )


def _assert_own(ground: Ground, outcome: Outcome) -> None:
    """Of the host's file systems nothing can be reached but what the zone was given, and harmless nodes."""
    nodes = {"/null", "/zero", "/full", "/random", "/urandom", "/tty"}
    covers = {"/covers/file", "/covers/folder"}
    given = str(ground.folder / "source")
    assert outcome.mounts
    for entry in outcome.mounts:
        match entry.fstype:
            case "proc":
                assert entry.root in {"/", *(path.removeprefix("/proc") for path in READ_ONLY), "/sys/net"}
            case "overlay" | "sysfs" | "devpts" | "mqueue" | "tmpfs":
                assert entry.root in {"/", "/hostname", "/hosts", "/resolv.conf"} | nodes | covers
            case "devtmpfs":
                assert entry.root in nodes
            case _:
                assert entry.root.startswith((given, str(ground.folder / "zone/root"))), entry


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", PLACES)
def test_what_is_made_to_lead_out_leads_nowhere(ground: Ground, place: str, kind: str) -> None:
    path = _spoil(ground, place, kind)
    if kind in LEADS_OUT:
        # Not vacuous: who followed it on the host would be there.
        assert path.samefile(ground.host / LEADS_OUT[kind])
    before = snapshot(ground.root), snapshot(ground.host)
    source = _mounts(ground)
    shared = snapshot(ground.folder / "source")

    outcome = ground.enter(lambda: os.path.exists(str(ground.host / "canary")), mounts=source)
    assert (snapshot(ground.root), snapshot(ground.host)) == before
    assert snapshot(ground.folder / "source") == shared
    assert "died" not in outcome.error
    if outcome.error:
        assert outcome.error.startswith(("SyscallError", "ZonectlError")), outcome.error
        return
    assert not outcome.value or (ground.upper / str(ground.host / "canary").lstrip("/")).exists()
    _assert_own(ground, outcome)


@pytest.mark.parametrize(
    "kind", ["link to a folder of the host", "link out by dots to a folder", "fifo", "file"]
)
@pytest.mark.parametrize("place", ["dev", "proc", "sys", "etc", "mnt"])
@pytest.mark.parametrize("switch", RootSwitch)
def test_a_hostile_copy_is_no_better(ground: Ground, place: str, kind: str, switch: RootSwitch) -> None:
    """A copied root was written to by the zone the last time that it ran."""
    _spoil(ground, place, kind)
    ground.root.rename(ground.folder / "zone/root")
    (ground.folder / "root").mkdir()
    before = snapshot(ground.host)
    outcome = ground.enter(
        mounts, config=with_root(mode=RootMode.COPY, switch=switch), mounts=_mounts(ground)
    )
    assert snapshot(ground.host) == before
    if outcome.error:
        assert outcome.error.startswith(("SyscallError", "ZonectlError")), outcome.error
    else:
        _assert_own(ground, outcome)


def test_links_of_the_zones_own_upper_are_no_better(ground: Ground) -> None:
    """What root of the zone left behind when it last ran."""
    (ground.upper / "etc").symlink_to(str(ground.host / "folder"))
    before = snapshot(ground.host)
    outcome = ground.enter(mounts)
    assert snapshot(ground.host) == before
    assert not outcome.error
    assert all(not target.startswith("/etc/") for target, *_ in outcome.value)


@pytest.mark.parametrize("place", ["proc", "sys", "dev"])
@pytest.mark.parametrize("to", ["/etc", ".", "/sys", "/proc", "tmp/../srv"])
def test_no_file_system_of_the_kernels_is_put_where_a_link_leads(ground: Ground, place: str, to: str) -> None:
    """It would cover another one, and what was made of that, until the zone's root took it away again."""
    (ground.upper / place).symlink_to(to)
    assert f"/{place} of the root leads through a link" in ground.enter().error


def test_nothing_is_mounted_over_the_root_itself(ground: Ground) -> None:
    (ground.root / "srv/self").symlink_to("..")
    tmpfs = MountConfig(target="/srv/self", kind=MountKind.TMPFS)
    assert "leads to the root itself" in ground.enter(mounts=(tmpfs,)).error


def test_a_link_that_is_the_upper_folder_itself_is_not_followed_by_init(ground: Ground) -> None:
    """The zone's folder is the host's own: a zone cannot make its upper folder a link. If it were one, inside is in."""
    ground.upper.rmdir()
    ground.upper.symlink_to(ground.host / "folder")
    before = snapshot(ground.host)
    outcome = ground.enter(lambda: Path("/new").write_text("x"))
    assert outcome.error
    assert snapshot(ground.host) == before


def test_notes_of_overlay_that_a_root_brings_lead_nowhere(ground: Ground) -> None:
    """A layer may hold trusted and user.overlay attributes; a redirect in it is bound to the layers."""
    folder = ground.root / "srv"
    os.setxattr(
        folder, "user.overlay.redirect", b"/../../../../../../" + str(ground.host / "folder").encode()
    )
    os.setxattr(folder, "user.overlay.opaque", b"y")
    os.setxattr(folder, "trusted.overlay.redirect", b"/../../.." + str(ground.host / "folder").encode())
    before = snapshot(ground.host)
    outcome = ground.enter(lambda: sorted(os.listdir("/srv")))
    assert snapshot(ground.host) == before
    assert outcome.error or "inner" not in outcome.value


def test_a_root_full_of_entries_is_put_together_as_fast_as_any(ground: Ground) -> None:
    for number in range(500):
        (ground.root / "etc" / f"hosts{number}").symlink_to(f"hosts{number + 1}")
    assert not ground.enter(config=WEB).error
