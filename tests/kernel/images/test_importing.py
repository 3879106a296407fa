"""Archives imported as root: owners and attributes, confinement, kills."""

from __future__ import annotations

import errno
import fcntl
import gzip
import json
import os
import signal
import stat
import subprocess
import sys
import tarfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.patience import until
from tests.unit.images.archives import Item, file, folder, hardlink, pack, symlink
from zonectl.errors import ImageError
from zonectl.images import layers, storage, unpack
from zonectl.images.limits import Limits
from zonectl.kernel import process
from zonectl.kernel.ending import kill_and_reap
from zonectl.store.locks import is_held

if TYPE_CHECKING:
    from collections.abc import Callable

    from zonectl.store.paths import Paths

pytestmark = pytest.mark.requires("root")

REPOSITORY = Path(__file__).parents[3]


def write(tmp_path: Path, archive: bytes, name: str = "a.tar") -> str:
    path = tmp_path / name
    path.write_bytes(archive)
    return str(path)


def test_owners_modes_and_capabilities_are_kept(paths: Paths, tmp_path: Path) -> None:
    capability = bytes([1, 0, 0, 2, 0, 4]) + bytes(14)
    archive = pack(
        replace(folder(".", 0o751), uid=0, gid=0),
        replace(file("bin/su", b"#!", 0o6755), uid=5, gid=42),
        Item(
            name="bin/ping",
            content=b"#!",
            mode=0o755,
            uid=0,
            gid=0,
            pax={"SCHILY.xattr.security.capability": capability.decode("utf-8", "surrogateescape")},
        ),
        replace(symlink("sh", "bin/su"), uid=7, gid=8),
        Item(name="fifo", type=tarfile.FIFOTYPE, mode=0o4620, uid=9, gid=9),
        Item(name="null", type=tarfile.CHRTYPE, mode=0o666, uid=0, gid=0),
    )
    root = Path(layers.import_tar(paths, write(tmp_path, archive), None).layers[0])
    assert root.stat().st_mode & 0o7777 == 0o751
    su = (root / "bin/su").stat()
    assert (su.st_uid, su.st_gid, su.st_mode & 0o7777) == (5, 42, 0o6755)
    assert os.getxattr(root / "bin/ping", "security.capability") == capability
    link = (root / "sh").lstat()
    assert (link.st_uid, link.st_gid) == (7, 8)
    fifo = (root / "fifo").lstat()
    assert (fifo.st_uid, fifo.st_mode & 0o7777) == (9, 0o4620)
    assert not os.path.lexists(root / "null")


@pytest.mark.parametrize(
    ("name", "argv"),
    [("a.tar", []), ("a.tgz", ["gzip"]), ("a.txz", ["xz"]), ("a.tbz", ["bzip2"]), ("a.tzst", ["zstd"])],
)
@pytest.mark.requires("program:bzip2", "program:xz", "program:zstd")
def test_the_digest_is_that_of_the_archive_uncompressed(
    paths: Paths, tmp_path: Path, name: str, argv: list[str]
) -> None:
    archive = pack(folder("."), file("a", b"content" * 1000))
    packed = (
        subprocess.run([*argv, "-c"], input=archive, capture_output=True, check=True).stdout
        if argv
        else archive
    )
    image = layers.import_tar(paths, write(tmp_path, packed, name), "app:1")
    plain = layers.import_tar(paths, write(tmp_path, archive, "plain.tar"), None)
    assert image == plain == layers.resolve(paths, "app:1")
    assert layers.verify(paths) == []
    (listed,) = layers.list_images(paths)
    assert (listed.reference, listed.bytes, listed.entries) == ("app:1", 7000, 2)
    assert sorted(os.listdir(paths.images_dir)) == ["layers", "refs.json"]


def test_a_refused_archive_leaves_nothing(paths: Paths, tmp_path: Path) -> None:
    archive = pack(file("a"), symlink("b", "/etc"), file("b/canary"))
    with pytest.raises(ImageError, match="through a link"):
        layers.import_tar(paths, write(tmp_path, archive), "bad")
    assert os.listdir(storage.layers_dir(paths)) == []
    with pytest.raises(ImageError, match="no image bad:latest"):
        layers.resolve(paths, "bad")


@pytest.mark.parametrize(
    "content", [b"", b"x", b"\0" * 100, b"x" * 2048, gzip.compress(b"x" * 4096), b"\x1f\x8b\x08junk"]
)
def test_what_is_no_archive_is_told_in_one_line(paths: Paths, tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ImageError) as caught:
        layers.import_tar(paths, write(tmp_path, content), None)
    assert "\n" not in caught.value.message


def test_a_folder_or_fifo_is_no_archive(paths: Paths, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo", tmp_path / "none"):
        with pytest.raises(ImageError):
            layers.import_tar(paths, str(path), None)


def test_a_bomb_of_one_long_name_runs_out_of_memory_in_the_child_alone(paths: Paths, tmp_path: Path) -> None:
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 300 << 20
    bomb = gzip.compress(header.tobuf(tarfile.GNU_FORMAT) + bytes(header.size), 1)
    with pytest.raises(ImageError, match="too much memory"):
        layers.import_tar(paths, write(tmp_path, bomb), None, limits=Limits(memory_bytes=64 << 20))


def test_a_bomb_of_zstd_is_stopped_at_the_limit(paths: Paths, tmp_path: Path) -> None:
    bomb = subprocess.run(["zstd", "-c"], input=bytes(50 << 20), capture_output=True, check=True).stdout
    with pytest.raises(Exception, match=r"zstd|prlimit"):
        layers.import_tar(paths, write(tmp_path, bomb), None, limits=Limits(stream_bytes=1 << 20))
    assert os.listdir(f"{paths.images_dir}") == ["layers"]


def test_an_archive_that_takes_too_long_is_given_up(paths: Paths, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="too long"):
        layers.import_tar(paths, write(tmp_path, pack(file("a"))), None, limits=Limits(time_s=0.0))


def confined(tmp_path: Path, probe: Callable[[], bool]) -> bool:
    """Whether the probe holds in a child confined as the unpacking one is."""
    target = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    reader, writer = os.pipe()

    def child() -> int:
        target_fd, report_fd = unpack._keep_only(target, writer)
        unpack._confine(target_fd, report_fd, limits=Limits())
        return 0 if probe() else 1

    pid, pidfd = process.spawn(child, flags=unpack._NAMESPACES)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    for fd in (pidfd, target, reader, writer):
        os.close(fd)
    return status == 0


def refused(function: Callable[[], object], number: int) -> bool:
    try:
        function()
    except OSError as error:
        return error.errno == number
    return False


def test_the_child_sees_its_folder_alone_and_can_make_no_device(tmp_path: Path) -> None:
    folder_path = tmp_path / "in"
    folder_path.mkdir()
    (folder_path / "only").touch()
    leaked = fcntl.fcntl(os.open("/", os.O_RDONLY), fcntl.F_DUPFD, 100)
    host_pid = os.getpid()
    probes: list[Callable[[], bool]] = [
        lambda: os.listdir("/") == ["only"],
        lambda: os.listdir("/../../..") == ["only"],
        lambda: refused(lambda: os.mknod("null", stat.S_IFCHR | 0o666, os.makedev(1, 3)), errno.EPERM),
        lambda: refused(lambda: os.chroot("."), errno.EPERM),
        lambda: refused(lambda: os.fstat(leaked), errno.EBADF),
        lambda: refused(lambda: os.kill(host_pid, 0), errno.ESRCH),
    ]
    try:
        assert [confined(folder_path, probe) for probe in probes] == [True] * len(probes)
        # The same probes fail where nobody is confined.
        assert os.listdir("/") != ["only"]
        os.mknod(tmp_path / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        os.kill(host_pid, 0)
        os.fstat(leaked)
    finally:
        os.close(leaked)


PROGRAM = """
import sys
from zonectl.images import layers
from zonectl.model.instance import Instance
from zonectl.store.paths import Paths
layers.import_tar(Paths(Instance(root=sys.argv[1], run=sys.argv[2])), sys.argv[3], "big")
"""


@pytest.mark.parametrize("delay_s", [0.15, 0.25, 0.4])
def test_killed_in_the_middle_it_leaves_what_the_next_import_removes(
    paths: Paths, tmp_path: Path, delay_s: float
) -> None:
    archive = write(tmp_path, pack(*(file(f"d{n % 50}/f{n}", b"x" * 2000) for n in range(3000))))
    argv = [sys.executable, "-c", PROGRAM, paths.root, paths.run_dir, archive]
    killed = subprocess.Popen(argv, env={**os.environ, "PYTHONPATH": str(REPOSITORY)})
    time.sleep(delay_s)
    killed.kill()
    killed.wait()
    for listed in layers.list_images(paths):
        assert layers.verify(paths, listed.reference) == []
    assert layers.verify(paths) == []
    # The unpacking child dies of its parent's death.
    until(lambda: not any(_root(pid).startswith(paths.images_dir) for pid in os.listdir("/proc")))
    image = layers.import_tar(paths, archive, "big")
    assert sorted(os.listdir(storage.layers_dir(paths))) == [image.digest, f"{image.digest}.json"]
    assert layers.verify(paths) == []


def _root(pid: str) -> str:
    """The root of a process; "" of what is none, or has ended."""
    try:
        return os.readlink(f"/proc/{pid}/root")
    except OSError:
        return ""


def test_the_unpacking_child_dies_with_its_parent(tmp_path: Path) -> None:
    """The archive is a FIFO that nobody writes to: the child would read for ever."""
    os.mkfifo(tmp_path / "archive")
    (tmp_path / "in").mkdir()
    alive, signs = os.pipe()

    def parent() -> int:
        archive = os.open(tmp_path / "archive", os.O_RDWR)
        target = os.open(tmp_path / "in", os.O_RDONLY)
        _pid, _pidfd = process.spawn(
            lambda: _reading_for_ever(archive, target, signs), flags=unpack._NAMESPACES
        )
        time.sleep(60)
        return 0

    _pid, pidfd = process.spawn(parent)
    os.close(signs)
    assert os.read(alive, 1) == b"x"
    kill_and_reap(pidfd)
    os.close(pidfd)
    # The last writer has ended when the pipe does.
    assert os.read(alive, 1) == b""
    os.close(alive)


def _reading_for_ever(archive: int, target: int, signs: int) -> int:
    unpack._confine(target, signs, limits=Limits())
    os.write(signs, b"x")
    os.read(archive, 1)
    return 0


def test_two_imports_of_the_same_at_once(paths: Paths, tmp_path: Path) -> None:
    archive = write(tmp_path, pack(*(file(f"f{n}") for n in range(300))))
    argv = [sys.executable, "-c", PROGRAM, paths.root, paths.run_dir, archive]
    running = [subprocess.Popen(argv, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}) for _ in range(3)]
    assert [one.wait() for one in running] == [0, 0, 0]
    assert len(os.listdir(storage.layers_dir(paths))) == 2
    assert layers.verify(paths) == []


def test_removal_is_refused_while_a_zone_stands_on_a_layer(paths: Paths, tmp_path: Path) -> None:
    image = layers.import_tar(paths, write(tmp_path, pack(file("a"))), "app:1")
    layers.import_tar(paths, write(tmp_path, pack(file("a"))), "app:2")
    layers.remove_image(paths, "app:2", used=lambda: image.layers)
    with pytest.raises(ImageError, match="a zone stands on"):
        layers.remove_image(paths, "app:1", used=lambda: image.layers)
    assert layers.resolve(paths, "app:1") == image
    layers.remove_image(paths, "app:1")
    assert os.listdir(storage.layers_dir(paths)) == []
    with pytest.raises(ImageError, match="no image app:1"):
        layers.remove_image(paths, "app:1")


def test_gc_keeps_what_is_meant_used_or_young(paths: Paths, tmp_path: Path) -> None:
    meant = layers.import_tar(paths, write(tmp_path, pack(file("a"))), "app:1")
    used = layers.import_tar(paths, write(tmp_path, pack(file("b"))), None)
    loose = layers.import_tar(paths, write(tmp_path, pack(file("c"))), None)
    assert layers.gc(paths, used=lambda: used.layers) == []
    assert layers.gc(paths, used=lambda: used.layers, grace_s=-1) == [loose.digest]
    assert os.path.isdir(meant.layers[0])
    assert os.path.isdir(used.layers[0])
    assert layers.gc(paths, used=lambda: used.layers, grace_s=-1) == []


def test_damage_is_found_by_verify_and_by_resolve(paths: Paths, tmp_path: Path) -> None:
    image = layers.import_tar(paths, write(tmp_path, pack(file("a"), hardlink("b", "a"))), "app:1")
    Path(image.layers[0], "a").write_text("changed")
    (damage,) = layers.verify(paths, "app:1")
    assert damage.reason == "its files have changed"
    Path(image.layers[0]).rename(tmp_path / "gone")
    with pytest.raises(ImageError, match="has lost its layer"):
        layers.resolve(paths, "app:1")


def test_a_signal_during_an_import_leaves_no_child(paths: Paths, tmp_path: Path) -> None:
    archive = write(tmp_path, pack(*(file(f"f{n}", b"x" * 1000) for n in range(4000))))
    before = threading.active_count()
    signal.signal(signal.SIGALRM, _interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        with pytest.raises(KeyboardInterrupt):
            layers.import_tar(paths, archive, None)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    assert os.listdir(storage.layers_dir(paths)) == []
    assert threading.active_count() == before


def test_a_signal_at_the_birth_of_the_child_leaves_no_child(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spawn = process.spawn

    def interrupted(job: Callable[[], int], *, flags: int) -> tuple[int, int]:
        born = spawn(job, flags=flags)
        signal.raise_signal(signal.SIGINT)
        return born

    monkeypatch.setattr(process, "spawn", interrupted)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with pytest.raises(KeyboardInterrupt):
        layers.import_tar(paths, write(tmp_path, pack(file("a"))), None)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == mask
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def test_an_archive_is_unpacked_once(paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = write(tmp_path, gzip.compress(pack(file("a"))))
    first = layers.unpacked_tar(paths, archive)
    with monkeypatch.context() as patched:
        patched.setattr(layers, "import_tar", lambda *_: pytest.fail("unpacked again"))
        assert layers.unpacked_tar(paths, archive) == first
        assert layers.unpacked_tar(paths, write(tmp_path, Path(archive).read_bytes(), "moved.tar")) == first
    second = layers.unpacked_tar(paths, write(tmp_path, pack(file("b"))))
    assert second != first, "another content under the same name"
    layers.gc(paths, used=lambda: second.layers, grace_s=-1)
    assert layers.unpacked_tar(paths, str(tmp_path / "moved.tar")) == first, (
        "unpacked again where it was removed"
    )
    assert layers.verify(paths) == []


@pytest.mark.parametrize(
    "text", ["{", '{"schema_version": 1, "archives": {"x": 1}}', '{"schema_version": 1, "archives": []}']
)
def test_a_damaged_note_of_archives_costs_time_alone(paths: Paths, tmp_path: Path, text: str) -> None:
    archive = write(tmp_path, pack(file("a")))
    first = layers.unpacked_tar(paths, archive)
    Path(paths.images_dir, "known.json").write_text(text)
    assert layers.unpacked_tar(paths, archive) == first
    assert json.loads(Path(paths.images_dir, "known.json").read_text())["archives"]


def test_what_zones_use_is_asked_for_under_the_lock(paths: Paths, tmp_path: Path) -> None:
    """Else a zone that is recorded between the question and the removal stands on nothing."""
    layers.import_tar(paths, write(tmp_path, pack(file("a"))), "app:1")
    seen: list[bool] = []

    def used() -> tuple[str, ...]:
        seen.append(is_held(paths.images_lock))
        return ()

    layers.gc(paths, used=used)
    layers.remove_image(paths, "app:1", used=used)
    assert seen == [True, True]
    with layers.reading(paths):
        assert is_held(paths.images_lock) is False, "readers do not keep each other out"
