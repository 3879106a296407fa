"""A disk without room is refused before anything is written to it."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from zonectl.errors import StoreError
from zonectl.store import room

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.requires("root")


@contextmanager
def tmpfs(folder: Path, options: str) -> Iterator[Path]:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "zt-room", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_with_room(tmp_path: Path) -> None:
    with tmpfs(tmp_path, f"size={room.LEAST_BYTES},nr_inodes={room.LEAST_FILES + 1}") as folder:
        room.require(str(folder), "/proc")  # procfs says nothing of its size


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (f"size={room.LEAST_BYTES - 4096}", "No space left on device"),
        (f"nr_inodes={room.LEAST_FILES}", "No space left on device"),  # the root folder is one
        ("ro", "Read-only file system"),
    ],
)
def test_a_disk_without(tmp_path: Path, options: str, words: str) -> None:
    with tmpfs(tmp_path, options) as folder:
        with pytest.raises(StoreError, match=f"cannot write to {folder}: {words}") as refused:
            room.require("/proc", str(folder))
        assert refused.value.hint


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No such file"):
        room.require(str(tmp_path / "none"))
