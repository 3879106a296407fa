"""Files into a running zone and out of it, whatever the zone has made of its side."""

from __future__ import annotations

import os
import re
import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kernel.runtime import trace
from tests.kernel.runtime.swapping import exchanging
from tests.kernel.runtime.world import REQUIRED, World
from zonectl.errors import StateError, ZonectlError
from zonectl.runtime import freeze
from zonectl.runtime.copying import copy_in, copy_out
from zonectl.runtime.packing import MAX_DEPTH, MAX_TOLD, parse_map
from zonectl.store import folders

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.requires(*REQUIRED)


@pytest.fixture
def zone(world: World) -> Iterator[World]:
    """A running zone, and a piece of the host that nothing may touch."""
    host = world.folder / "host"
    (host / "folder").mkdir(parents=True)
    (host / "canary").write_text("untouched")
    (host / "folder/inner").write_text("untouched")
    world.started()
    before = _seen(host)
    yield world
    assert _seen(host) == before


def _seen(folder: Path) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        found.append(
            (str(path), status.st_ino, status.st_mode, status.st_mtime_ns, status.st_ctime_ns, content)
        )
    return found


def _sh(zone: World, script: str) -> str:
    done = zone.execute("sh", "-c", script)
    assert done.exit_status.code == 0, done.err
    return done.out


def _source(zone: World) -> Path:
    source = zone.folder / "source"
    (source / "sub").mkdir(parents=True)
    (source / "file").write_text("text")
    (source / "file").chmod(0o640)
    os.utime(source / "file", (1_000_000_000, 1_000_000_000))
    (source / "link").symlink_to("file")
    (source / "sub/inner").write_bytes(b"\0\xff" * 100_000)
    return source


def test_a_folder_goes_in_and_comes_out_as_it_was(zone: World) -> None:
    source = _source(zone)
    copy_in(zone.context, "web", str(source), target="/root")
    shown = _sh(zone, "cd /root/source; stat -c '%u %a %Y' file; readlink link; wc -c <sub/inner")
    assert shown.splitlines() == ["0 640 1000000000", "file", "200000"]
    copy_out(zone.context, "web", "/root/source", target=f"{zone.folder}/back")
    assert (zone.folder / "back/sub/inner").read_bytes() == (source / "sub/inner").read_bytes()
    assert os.readlink(zone.folder / "back/link") == "file"
    status = (zone.folder / "back/file").stat()
    assert (status.st_uid, status.st_mode & 0o7777, status.st_mtime) == (0, 0o640, 1_000_000_000)


def test_a_file_goes_under_a_new_name_or_into_a_folder(zone: World) -> None:
    source = _source(zone)
    copy_in(zone.context, "web", str(source / "file"), target="/tmp/renamed")
    copy_in(zone.context, "web", str(source / "file"), target="/tmp")
    assert _sh(zone, "cat /tmp/renamed /tmp/file") == "texttext"
    copy_out(zone.context, "web", "/tmp/renamed", target=f"{zone.folder}/again")
    (zone.folder / "into").mkdir()
    copy_out(zone.context, "web", "/tmp/renamed", target=f"{zone.folder}/into")
    assert (zone.folder / "again").read_text() == (zone.folder / "into/renamed").read_text() == "text"


def test_what_goes_in_belongs_on_disk_to_0(zone: World) -> None:
    copy_in(zone.context, "web", str(_source(zone) / "file"), target="/tmp/file")
    assert (Path(zone.context.paths.upper("web")) / "tmp/file").stat().st_uid == 0


def test_files_of_others_come_out_as_the_callers(zone: World) -> None:
    _sh(zone, "echo x >/tmp/theirs; chown 33:33 /tmp/theirs; busybox chmod 6755 /tmp/theirs")
    copy_out(zone.context, "web", "/tmp/theirs", target=f"{zone.folder}/theirs")
    status = (zone.folder / "theirs").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (0, 0, 0o755)


def test_an_archive_of_any_length_is_read_to_its_end(zone: World) -> None:
    """Its padding may begin a new record, which nobody needs to read, but must."""
    source = zone.folder / "padded"
    source.mkdir()
    for blocks in range(20):
        (source / "file").write_bytes(b"x" * (blocks * 512))
        copy_in(zone.context, "web", str(source), target="/tmp")
        copy_out(zone.context, "web", "/tmp/padded", target=f"{zone.folder}/out{blocks}")
        assert (zone.folder / f"out{blocks}/file").stat().st_size == blocks * 512


def test_names_are_any_bytes(zone: World) -> None:
    source = zone.folder / "odd"
    source.mkdir()
    for name in (b"a b", b"-rf", b"\xff\xfe", b"line\nbreak", b"x" * 255, "\N{SNOWMAN}".encode()):
        (Path(os.fsdecode(os.fsencode(source) + b"/" + name))).write_bytes(name)
    copy_in(zone.context, "web", str(source), target="/tmp")
    copy_out(zone.context, "web", "/tmp/odd", target=f"{zone.folder}/back")
    assert sorted(os.listdir(os.fsencode(zone.folder / "back"))) == sorted(os.listdir(os.fsencode(source)))


def test_what_is_neither_file_nor_folder_nor_link_is_left_out(zone: World) -> None:
    _sh(
        zone,
        "mkdir /tmp/mixed; mkfifo /tmp/mixed/fifo; echo x >/tmp/mixed/file; ln /tmp/mixed/file /tmp/mixed/second",
    )
    left = copy_out(zone.context, "web", "/tmp/mixed", target=f"{zone.folder}/mixed")
    assert left == ("fifo mixed/fifo",)
    assert sorted(os.listdir(zone.folder / "mixed")) == ["file", "second"]
    source = zone.folder / "mixed"
    for number in range(MAX_TOLD):
        os.mkfifo(source / f"fifo{number}")
    os.mknod(source / "node", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(source / "door"))
    left = copy_in(zone.context, "web", str(source), target="/root")
    assert len(left) == MAX_TOLD + 1
    assert left[-1] == "2 more"
    assert {what.split()[0] for what in left[:-1]} <= {"fifo", "device", "socket"}
    assert _sh(zone, "ls /root/mixed").split() == ["file", "second"]


def test_holes_stay_holes(zone: World) -> None:
    """Else a file that costs its owner nothing would fill the other side's disk, and never end."""
    endless = 1 << 42
    source = zone.folder / "sparse"
    with source.open("wb") as file:
        file.truncate(endless)
        for offset in (0, 1 << 30, endless - 5):
            file.seek(offset)
            file.write(b"data!")
    copy_in(zone.context, "web", str(source), target="/root/sparse")
    copy_out(zone.context, "web", "/root/sparse", target=f"{zone.folder}/back")
    back = zone.folder / "back"
    assert back.stat().st_size == endless
    assert back.stat().st_blocks * 512 < 1 << 20
    with back.open("rb") as file:
        for offset in (0, 1 << 30, endless - 5):
            file.seek(offset)
            assert file.read(5) == b"data!"
        file.seek(1 << 29)
        assert file.read(4096) == bytes(4096)
    (zone.folder / "hole").touch()
    os.truncate(zone.folder / "hole", 1 << 20)
    copy_in(zone.context, "web", f"{zone.folder}/hole", target="/root/hole")
    assert _sh(zone, "stat -c '%s %b' /root/hole") == "1048576 0\n"


def test_a_source_on_the_host_that_becomes_a_link_is_not_followed(zone: World) -> None:
    """A folder of the host that a zone or a user may write to, while root copies it into a zone."""
    source = zone.folder / "changing"
    for name in ("right", "aside"):
        (source / name).mkdir(parents=True)
    (source / "right/inner").write_text("right")
    (source / "aside").rmdir()
    (source / "aside").symlink_to(zone.folder / "host/folder")
    with exchanging(source / "right", source / "aside"):
        for _ in range(100):
            copy_in(zone.context, "web", str(source), target="/root")
            assert "untouched" not in _sh(
                zone,
                "cd /root/changing; for each in *; do [ -L $each ] || cat $each/inner; done; rm -r /root/changing",
            )


def test_folders_nested_without_end_are_refused(zone: World) -> None:
    top = zone.folder / "deep"
    top.mkdir()
    here = os.open(top, os.O_RDONLY)
    for _ in range(MAX_DEPTH + 2):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    with pytest.raises(ZonectlError, match="folders deep"):
        copy_in(zone.context, "web", str(top), target="/root")
    folders.remove(str(top))


@pytest.mark.parametrize(
    "said", ["x", "5 0 6", "9 3 2 0 2", "9 0 -1", "9 0", "", "99999999999999999999 0 4", "8 0 4 2 4"]
)
def test_a_map_that_is_none_is_refused(said: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the message is the map itself
        parse_map(said, 4)


@pytest.mark.parametrize(
    "to", ["{host}/folder", "../../../../../../../../../..{host}/folder", "/proc/1/root{host}/folder"]
)
def test_links_of_the_zone_lead_into_the_zone_when_files_go_in(zone: World, to: str) -> None:
    link = to.format(host=zone.folder / "host")
    _sh(zone, f"mkdir /tmp/x; ln -s {link} /tmp/x/out; ln -s {link} /tmp/out; ln -s {link}/inner /tmp/leaf")
    source = zone.folder / "x"
    (source / "out").mkdir(parents=True)
    (source / "out/inner").write_text("changed")
    for target in ("/tmp", "/tmp/out", "/tmp/out/inner", "/tmp/leaf"):
        try:
            copy_in(
                zone.context, "web", str(source if target == "/tmp" else source / "out/inner"), target=target
            )
        except ZonectlError:
            continue


@pytest.mark.parametrize("to", ["{host}/folder", "../../..{host}/folder"])
def test_a_link_that_comes_out_is_not_written_through(zone: World, to: str) -> None:
    """As an archive would that has a link first and a file below it."""
    link = to.format(host=zone.folder / "host")
    _sh(zone, f"mkdir -p /tmp/set; ln -s {link} /tmp/set/out")
    copy_out(zone.context, "web", "/tmp/set", target=str(zone.folder))
    assert os.readlink(zone.folder / "set/out") == link
    _sh(zone, "rm /tmp/set/out; mkdir /tmp/set/out; echo changed >/tmp/set/out/inner")
    with pytest.raises(ZonectlError, match="no folder"):
        copy_out(zone.context, "web", "/tmp/set", target=str(zone.folder))


def test_a_source_that_is_a_link_is_not_the_hosts(zone: World) -> None:
    _sh(zone, f"ln -s {zone.folder}/host/canary /tmp/leaf; ln -s {zone.folder}/host /tmp/out")
    copy_out(zone.context, "web", "/tmp/leaf", target=f"{zone.folder}/leaf")
    assert (zone.folder / "leaf").is_symlink()
    with pytest.raises(ZonectlError):
        copy_out(zone.context, "web", "/tmp/out/canary", target=f"{zone.folder}/canary")
    assert not (zone.folder / "canary").exists()


def test_what_is_not_there_is_said_on_either_side(zone: World) -> None:
    with pytest.raises(ZonectlError, match="No such file"):
        copy_out(zone.context, "web", "/nowhere", target=f"{zone.folder}/x")
    with pytest.raises((ZonectlError, OSError), match="No such file"):
        copy_in(zone.context, "web", f"{zone.folder}/nowhere", target="/tmp/x")
    with pytest.raises(ZonectlError, match="No such file"):
        copy_in(zone.context, "web", str(_source(zone) / "file"), target="/nowhere/x")


def test_a_device_is_not_replaced_by_a_file(zone: World) -> None:
    with pytest.raises(ZonectlError, match="neither"):
        copy_in(zone.context, "web", str(_source(zone) / "file"), target="/dev/null")
    assert _sh(zone, "stat -c %t:%T /dev/null") == "1:3\n"


def test_a_paused_zone_can_be_copied_from(zone: World) -> None:
    _sh(zone, "echo x >/tmp/file")
    freeze.pause(zone.context, "web")
    copy_out(zone.context, "web", "/tmp/file", target=f"{zone.folder}/file")
    assert (zone.folder / "file").read_text() == "x\n"


def test_a_zone_that_does_not_run_is_refused(world: World) -> None:
    world.create()
    with pytest.raises(StateError) as refused:
        copy_out(world.context, "web", "/etc/passwd", target=f"{world.folder}/x")
    assert refused.value.hint == "zonectl start web"


@pytest.mark.requires("program:strace")
@pytest.mark.parametrize("verb", ["copy_in", "copy_out"])
def test_nothing_of_the_zones_is_loaded_on_the_way(zone: World, verb: str) -> None:
    """CVE-2019-14271: no library of the zone's, no NSS module, after the zone has been entered."""
    _sh(
        zone,
        "echo 'passwd: evil' >/etc/nsswitch.conf; mkdir -p /tmp/set/sub; echo x >/tmp/set/sub/file; chown 33 /tmp/set",
    )
    source, target = (
        ("/tmp/set", f"{zone.folder}/out") if verb == "copy_out" else (str(_source(zone)), "/tmp")
    )
    argv = [str(zone.folder), str(zone.number), verb, "web", source, target]
    traced = trace.record(argv, zone.folder / "trace", calls=("%file", "%desc", "setns", "mmap"))
    (child,) = {raw.pid for raw in traced.raw if raw.name == "setns"}
    calls = traced.of(child)
    entered = next(at for at, raw in enumerate(calls) if raw.name == "setns")
    opened = [trace.words(raw.arguments[1]) for raw in calls[entered:] if raw.name in {"openat", "openat2"}]
    assert not [name for name in opened if re.search(r"\.so|\.py|nsswitch|passwd|group|locale", name)]
    mapped = [raw for raw in calls[entered:] if raw.name == "mmap" and "PROT_EXEC" in raw.arguments[2]]
    assert not mapped
