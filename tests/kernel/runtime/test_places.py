"""Paths in a root that is not trusted, as init resolves and makes them: native/places.c, by scripts."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from zonectl.errors import ZonectlError
from zonectl.kernel import process
from zonectl.model.script import Script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.kernel.runtime.talk import Talk

    Start = Callable[..., Talk]

pytestmark = pytest.mark.requires("root")

MARK = "mark"


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A root, and what lies outside of it."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "root").mkdir()
    yield tmp_path / "root"
    # Too deep for what pytest removes it by.
    subprocess.run(["rm", "-rf", str(tmp_path / "root")], check=True)


def begun(root: Path) -> Script:
    """A script whose root is that."""
    script = Script()
    script.change_folder(str(root.parent))
    return script


def made_folder(talk: Start, root: Path, wanted: str, *, plain: bool = False) -> Path:
    """Where init finds or makes the folder `wanted`: it leaves a mark there."""
    script = begun(root)
    place = script.descriptor()
    script.folder(place, wanted, plain=plain)
    script.make_file(place, MARK, "", 0o600)
    talk(script=script.packed()).begin()
    (mark,) = root.parent.rglob(MARK)
    return mark.parent


def refused(talk: Start, root: Path, wanted: str, *, file: bool = False, plain: bool = False) -> ZonectlError:
    """Why init does not make it."""
    script = begun(root)
    place = script.descriptor()
    if file:
        script.file(place, wanted, 0o644)
    else:
        script.folder(place, wanted, plain=plain)
    return talk(script=script.packed()).refusal()


@pytest.mark.parametrize(
    ("wanted", "made"),
    [
        ("a/../b//./c/", "b/c"),
        ("../../x", "x"),
        ("dangling/y", "target/deep/y"),
        ("absolute/y", "abs/y"),
        ("climbing/y", "outside/y"),
        ("chain", "target/deep"),
        ("there/link/z", "there/real/z"),
        ("/" + "x" * 255 + "/" * 300 + "y", "x" * 255 + "/y"),
        ("/".join("d" * 300), "/".join("d" * 300)),
    ],
)
def test_folders_are_made_where_links_lead(talk: Start, root: Path, wanted: str, made: str) -> None:
    (root / "dangling").symlink_to("target/deep")
    (root / "absolute").symlink_to("/abs")
    (root / "climbing").symlink_to("../../../outside")
    (root / "chain").symlink_to("./dangling/.")
    (root / "there").mkdir()
    (root / "there/link").symlink_to("real")
    found = made_folder(talk, root, wanted)
    assert found == root / made
    assert stat.S_IMODE(found.stat().st_mode) == 0o755
    assert os.listdir(root.parent / "outside") == []


@pytest.mark.parametrize("wanted", ["/", "..", "away/..", "home"])
def test_the_root_itself_is_no_place(talk: Start, root: Path, wanted: str) -> None:
    (root / "home").symlink_to("/")
    assert "leads to the root itself" in refused(talk, root, wanted).message


@pytest.mark.parametrize("wanted", ["proc", "dev/pts"])
def test_a_link_is_no_place_for_what_is_the_kernels(talk: Start, root: Path, wanted: str) -> None:
    (root / "proc").symlink_to("elsewhere")
    (root / "dev").symlink_to("elsewhere")
    assert "leads through a link" in refused(talk, root, wanted, plain=True).message


def test_what_is_missing_of_the_kernels_is_made(talk: Start, root: Path) -> None:
    assert made_folder(talk, root, "/sys/fs", plain=True) == root / "sys/fs"


def test_a_loop_of_links(talk: Start, root: Path) -> None:
    (root / "one").symlink_to("two/x")
    (root / "two").symlink_to("one/x")
    assert "Too many levels" in refused(talk, root, "one").message


def test_links_that_multiply(talk: Start, root: Path) -> None:
    """Each link names the next one twice: what is walked is bounded."""
    for number in range(30):
        (root / f"l{number}").symlink_to(f"l{number + 1}/../l{number + 1}")
    assert "Too many levels" in refused(talk, root, "l0/x").message


def test_links_that_grow_too_long(talk: Start, root: Path) -> None:
    for number in range(39):
        (root / f"l{number}").symlink_to(f"l{number + 1}/" + "/".join("x" * 1000))
    assert "too long" in refused(talk, root, "l0/x").message


def test_folders_too_deep_below_each_other(talk: Start, root: Path) -> None:
    assert "too long" in refused(talk, root, "/".join("d" * 1100)).message


def test_a_file_in_the_way(talk: Start, root: Path) -> None:
    (root / "file").touch()
    for wanted in ("file", "file/below"):
        assert "Not a directory" in refused(talk, root, wanted).message
    (root / "folder").mkdir()
    assert "Is a directory" in refused(talk, root, "folder", file=True).message


def test_files_are_made_with_their_folders(talk: Start, root: Path) -> None:
    (root / "etc").mkdir()
    (root / "etc/resolv.conf").symlink_to("../run/resolvconf/resolv.conf")
    for mode in (0o604, 0o600):  # one that is there keeps its own
        script = begun(root)
        script.file(script.descriptor(), "/etc/resolv.conf", mode)
        talk(script=script.packed()).begin()
        assert stat.S_IMODE((root / "run/resolvconf/resolv.conf").stat().st_mode) == 0o604
    assert stat.S_IMODE((root / "run/resolvconf").stat().st_mode) == 0o755


def _swap(root: Path) -> int:
    """Make and remove the folder `swapped` and a link to the outside in turn, for ever."""
    swapped = root / "swapped"
    moves = (
        lambda: swapped.symlink_to("../outside"),
        swapped.unlink,
        swapped.mkdir,
        lambda: swapped.rename(root / "gone"),
        lambda: shutil.rmtree(root / "gone"),
    )
    while True:
        for move in moves:
            with suppress(OSError):
                move()


def test_a_root_that_changes_meanwhile(talk: Start, root: Path) -> None:
    """A neighbour swaps a folder for a link to the outside, over and over: nothing is made out there."""
    _pid, pidfd = process.spawn(lambda: _swap(root))
    many = ready = 0
    try:
        # Until some got through all of their fifty as well.
        while many < 40 or (not ready and many < 2000):
            script = begun(root)
            for number in range(50):
                place = script.descriptor()
                script.file(place, f"swapped/made{many}/{number}", 0o644)
                script.close(place)
            with suppress(ZonectlError):
                talk(script=script.packed()).begin()
                ready += 1
            many += 1
        assert not process.pidfd_exited(pidfd)
    finally:
        process.kill_and_reap(pidfd)
        os.close(pidfd)
    assert ready
    assert os.listdir(root.parent / "outside") == []
