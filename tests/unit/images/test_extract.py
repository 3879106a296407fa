"""Entries are made by descriptor: even without the chroot around it nothing leaves the folder."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.images.archives import Item, file, folder, hardlink, pack, symlink
from zonectl.errors import ImageError, SyscallError
from zonectl.images.archive import Hashed
from zonectl.images.extract import Extraction
from zonectl.images.limits import MAX_DEPTH, Limits
from zonectl.images.places import names_of


def extract(root: Path, archive: bytes, limits: Limits | None = None) -> Extraction:
    bounds = limits or Limits()
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        extraction = Extraction(fd, bounds)
        extraction.run(Hashed(io.BytesIO(archive), limit_bytes=bounds.stream_bytes))
    finally:
        os.close(fd)
    return extraction


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder to fill, with a canary beside it that no archive may touch."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/canary").write_text("alive")
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def is_unharmed(root: Path) -> bool:
    outside = root.parent / "outside"
    canary = outside / "canary"
    return (
        os.listdir(outside) == ["canary"]
        and canary.read_text() == "alive"
        and canary.stat().st_nlink == 1
        and sorted(os.listdir(root.parent)) == ["outside", "root"]
    )


def test_what_tar_makes_is_made(root: Path) -> None:
    extraction = extract(
        root,
        pack(
            folder("./"),
            folder("./tmp", 0o1777),
            file("./usr/bin/su", b"#!", 0o4755),
            file("./usr/bin/wall", b"#!", 0o2755),
            symlink("./bin", "usr/bin"),
            symlink("./etc/mtab", "../proc/mounts"),
            hardlink("./usr/bin/sudo", "./usr/bin/su"),
            Item(name="./run/initctl", type=tarfile.FIFOTYPE, mode=0o620),
            Item(name="./old", content=b"x", mtime=-5.5),
        ),
    )
    assert (root / "tmp").stat().st_mode & 0o7777 == 0o1777
    assert (root / "usr/bin/su").stat().st_mode & 0o7777 == 0o4755
    assert (root / "usr/bin/wall").stat().st_mode & 0o7777 == 0o2755
    assert os.readlink(root / "bin") == "usr/bin"
    assert os.readlink(root / "etc/mtab") == "../proc/mounts"
    assert (root / "usr/bin/sudo").samefile(root / "usr/bin/su")
    assert stat.S_ISFIFO((root / "run/initctl").stat().st_mode)
    assert (root / "run/initctl").stat().st_mode & 0o7777 == 0o620
    assert (root / "usr/bin").stat().st_mode & 0o7777 == 0o755
    assert (root / "old").stat().st_mtime_ns == -5_500_000_000
    assert (root / "tmp").stat().st_mtime == 0
    assert extraction.entries == 9
    assert extraction.bytes == 5


@pytest.mark.parametrize(
    ("archive", "reason"),
    [
        (pack(file("../outside/canary")), "leaves the archive"),
        (pack(file("a/../../outside/canary")), "leaves the archive"),
        (pack(symlink("a", "../outside"), file("a/canary")), "through a link"),
        (pack(symlink("a", "/etc"), file("a/zonectl-canary")), "through a link"),
        (pack(symlink("a", "."), file("a/b")), "through a link"),
        (pack(symlink("a", "b"), symlink("b", "../outside"), file("a/canary")), "through a link"),
        (pack(symlink("a", "../outside"), hardlink("b", "a/canary"), file("b", b"dead")), "through a link"),
        (pack(hardlink("b", "../outside/canary")), "leaves the archive"),
        (pack(hardlink("b", "/outside/canary")), "no such folder"),
        (pack(folder("d"), hardlink("b", "d")), "leads to a folder"),
        (pack(hardlink("b", "b")), "leads to itself"),
        (pack(file("a"), file("a/b")), "link or file"),
        (pack(folder("d"), file("d/x"), file("d")), "not empty"),
        (pack(file("a/.wh.b")), "whiteout"),
        (pack(file("n" * 256)), "too long"),
        (pack(file("d/" * (MAX_DEPTH + 1) + "f")), "folders deep"),
        (pack(symlink("a", "t" * 4096)), "too long"),
        (pack(symlink("a", "")), "no target"),
        (pack(Item(name="a", uid=2**32 - 1)), "out of range"),
        (pack(Item(name="a", pax={"uid": "-1"})), "out of range"),
        (pack(Item(name="a", pax={"mtime": "nan"})), "time"),
        (pack(Item(name="a", pax={"mtime": "1e300"})), "time"),
        (pack(Item(name="a", pax={"size": "99999999999999"})), "too large"),
        (pack(Item(name="a", pax={"size": "-512"})), "out of range"),
        (pack(Item(name="a", type=b"Z")), "unknown type"),
        (pack(Item(name=".")), "not a folder"),
    ],
)
def test_hostile_archives_are_refused_and_touch_nothing_outside(
    root: Path, archive: bytes, reason: str
) -> None:
    with pytest.raises((ImageError, tarfile.TarError, ValueError), match=reason):
        extract(root, archive)
    assert is_unharmed(root)
    assert not Path("/etc/zonectl-canary").exists()


@pytest.mark.parametrize(
    "archive",
    [
        pack(file("/outside/canary", b"dead")),
        pack(symlink("canary", "../outside/canary"), file("canary", b"dead")),
        pack(symlink("a", "../outside"), folder("a"), file("a/canary", b"dead")),
        pack(symlink("a", "../outside/canary"), hardlink("b", "a"), file("b", b"dead")),
        pack(symlink("a", "../outside"), Item(name="a/", type=tarfile.DIRTYPE, mode=0o777)),
        pack(symlink("a", "../outside/new"), Item(name="a", type=tarfile.FIFOTYPE)),
    ],
)
def test_what_could_lead_outside_stays_inside(root: Path, archive: bytes) -> None:
    extract(root, archive)
    assert is_unharmed(root)
    assert (root.parent / "outside").stat().st_mode & 0o777 == 0o755


def test_the_same_archives_do_harm_where_names_are_trusted(root: Path) -> None:
    """Or the tests above would prove nothing."""
    archive = pack(symlink("a", "../outside"), file("a/canary", b"dead"))
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        # What newer versions of tarfile would refuse.
        tar.extraction_filter = lambda member, _path: member
        tar.extractall(root)
    assert not is_unharmed(root)


def test_the_last_entry_of_a_name_wins(root: Path) -> None:
    extract(
        root,
        pack(
            file("a", b"first"),
            hardlink("kept", "a"),
            file("a", b"second"),
            folder("b"),
            symlink("b", "a"),
            symlink("c", "a"),
            folder("c", 0o700),
        ),
    )
    assert (root / "a").read_bytes() == b"second"
    assert (root / "kept").read_bytes() == b"first"
    assert os.readlink(root / "b") == "a"
    assert (root / "c").stat().st_mode & 0o777 == 0o700


def test_devices_are_left_out_and_told(root: Path) -> None:
    extraction = extract(
        root,
        pack(
            Item(name="dev/null", type=tarfile.CHRTYPE), Item(name="dev/vda", type=tarfile.BLKTYPE), file("a")
        ),
    )
    assert extraction.skipped == ["device dev/null", "device dev/vda"]
    assert os.listdir(root) == ["a"]


def test_attributes_of_overlay_and_the_host_are_left_out_and_told(root: Path) -> None:
    names = ("trusted.overlay.redirect", "user.overlay.whiteout", "security.selinux", "system.nfs4_acl")
    pax = {f"SCHILY.xattr.{name}": "/etc" for name in names}
    extraction = extract(root, pack(Item(name="a", pax=pax)))
    assert os.listxattr(root / "a") == []
    assert len(extraction.skipped) == 4


def test_a_million_entries_are_stopped_at_the_limit(root: Path) -> None:
    limits = Limits(entries=10)
    extract(root, pack(*(file(f"f{n}") for n in range(10))), limits)
    with pytest.raises(ImageError, match="more than 10 entries"):
        extract(root, pack(*(file(f"g{n}") for n in range(11))), limits)
    with pytest.raises(ImageError, match="more than 10 entries"):
        extract(root, pack(file("a/b/c/d/e/f/g/h/i/j/k"), file("l")), limits)


def test_bytes_are_stopped_at_the_limit(root: Path) -> None:
    with pytest.raises(ImageError, match="too large"):
        extract(root, pack(file("a", b"x" * 600), file("b", b"x" * 600)), Limits(total_bytes=1000))
    with pytest.raises(ImageError, match="too large"):
        extract(root, pack(file("c", b"x" * 600)), Limits(file_bytes=500))


@pytest.mark.parametrize("cut", [100, 512, 700, 1024, 1300])
def test_an_archive_that_ends_early_is_never_a_success(root: Path, cut: int) -> None:
    archive = pack(file("a", b"x" * 512), file("b", b"y" * 400))
    with pytest.raises((ImageError, tarfile.TarError, EOFError)):
        extract(root, archive[:cut])


def test_a_damaged_header_is_never_the_end(root: Path) -> None:
    archive = bytearray(pack(file("a", b"x" * 512), file("b", b"y" * 400)))
    archive[1024 + 10] ^= 0xFF
    with pytest.raises(ImageError, match="damaged"):
        extract(root, bytes(archive))


def test_bytes_that_are_no_text_keep_their_name(root: Path) -> None:
    extract(root, pack(file("caf\udce9"), symlink("l", "\udcff")))
    assert sorted(os.listdir(os.fsencode(root))) == [b"caf\xe9", b"l"]
    assert os.readlink(os.fsencode(root / "l")) == b"\xff"


def test_sparse_files_stay_sparse(root: Path) -> None:
    pax = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "hole",
        "GNU.sparse.realsize": str(8 << 20),
    }
    sparse_map = b"1\n4194304\n512\n".ljust(512, b"\0")
    extract(root, pack(Item(name="GNUSparseFile.0/hole", content=sparse_map + b"d" * 512, pax=pax)))
    status = (root / "hole").stat()
    assert status.st_size == 8 << 20
    assert status.st_blocks * 512 < 4 << 20
    with (root / "hole").open("rb") as opened:
        opened.seek(4 << 20)
        assert opened.read(513) == b"d" * 512 + b"\0"


names = st.sampled_from(
    ["a", "b", "c", "a/b", "b/a", "a/b/c", "./a", "/b", "../outside/canary", "c/../a", "b/canary"]
)
targets = st.sampled_from(
    ["a", "b", "..", "../outside", "../outside/canary", "/", "/outside", "a/b", "../../..", "."]
)
types = st.sampled_from(
    [tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
)
items = st.builds(
    lambda name, kind, target: Item(
        name=name, type=kind, link=target, content=b"dead" if kind == tarfile.REGTYPE else b"", mode=0o755
    ),
    names,
    types,
    targets,
)


@given(st.lists(items, max_size=12))
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_no_sequence_of_entries_reaches_outside(
    tmp_path_factory: pytest.TempPathFactory, entries: list[Item]
) -> None:
    base = tmp_path_factory.mktemp("zoo")
    (base / "outside").mkdir()
    (base / "outside/canary").write_text("alive")
    (base / "root").mkdir()
    for entry in entries:
        # One by one: a refusal must not hide what later entries would do.
        try:
            extract(base / "root", pack(entry))
        except (ImageError, SyscallError, tarfile.TarError, OSError):
            continue
    assert is_unharmed(base / "root")


@given(st.text(max_size=30))
def test_accepted_names_have_no_way_up(text: str) -> None:
    try:
        parts = names_of(text)
    except (ImageError, UnicodeEncodeError):
        return
    assert not {b"", b".", b".."} & set(parts)
    assert not any(b"/" in part or b"\0" in part for part in parts)
