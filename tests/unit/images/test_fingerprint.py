from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from zonectl.images.storage import describe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "d").mkdir(parents=True)
    (root / "d/f").write_text("content")
    os.utime(root / "d/f", (1, 1))
    (root / "l").symlink_to("d/f")
    os.utime(root / "l", (1, 1), follow_symlinks=False)
    os.link(root / "d/f", root / "h")
    os.mkfifo(root / "p")
    return root


def test_reading_and_touching_folders_changes_nothing(tree: Path) -> None:
    before = describe(str(tree))
    (tree / "d/f").read_text()
    os.utime(tree / "d")
    assert describe(str(tree)) == before


def _split(root: Path) -> None:
    (root / "h").unlink()
    (root / "h").write_text("content")
    os.utime(root / "h", (1, 1))


def _relink(root: Path) -> None:
    (root / "l").unlink()
    (root / "l").symlink_to("d/g")


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "d/f").write_text("Content"),
        lambda root: os.utime(root / "d/f", (2, 2)),
        lambda root: (root / "d/f").chmod(0o4755),
        lambda root: (root / "d").chmod(0o700),
        lambda root: root.chmod(0o711),
        lambda root: (root / "d/new").touch(),
        lambda root: (root / "p").unlink(),
        lambda root: os.setxattr(root / "d/f", "user.note", b"x"),
        _split,
        _relink,
    ],
)
def test_any_change_is_seen(tree: Path, change: Callable[[Path], object]) -> None:
    before = describe(str(tree))
    change(tree)
    assert describe(str(tree)) != before
