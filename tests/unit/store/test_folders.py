"""Folders removed with all that a hostile zone can have put into them."""

from __future__ import annotations

import os
import resource
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from zonectl.errors import StoreError
from zonectl.store import folders

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def nest(top: Path, levels: int) -> None:
    """So many folders in each other, with a file in each: no path leads to the last."""
    fd = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        os.close(os.open("f", os.O_WRONLY | os.O_CREAT, dir_fd=below))
        os.close(fd)
        fd = below
    os.close(fd)


@contextmanager
def few_files() -> Iterator[None]:
    """Within, hundred descriptors more than are open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(map(int, os.listdir("/proc/self/fd")))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 100, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def top(tmp_path: Path) -> Path:
    (tmp_path / "top").mkdir()
    return tmp_path / "top"


@pytest.mark.parametrize("levels", [1, 63, 64, 65, 66, 400])
def test_folders_nested_however_deep_are_removed(top: Path, levels: int) -> None:
    """400 are more than there are descriptors; with 3000, pytest could not remove what a failure leaves."""
    (top / "upper").mkdir()
    nest(top / "upper", levels)
    with few_files():
        folders.remove(str(top))
    assert not top.exists()


def test_links_are_removed_and_not_followed(tmp_path: Path, top: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    (top / "folder").symlink_to(outside)
    (top / "file").symlink_to(outside / "kept")
    (top / "nothing").symlink_to("nowhere")
    folders.remove(str(top))
    assert not top.exists()
    assert (outside / "kept").exists()


def test_a_link_at_the_top_is_refused(tmp_path: Path, top: Path) -> None:
    (top / "kept").touch()
    link = tmp_path / "link"
    link.symlink_to(top)
    with pytest.raises(StoreError, match="cannot remove"):
        folders.remove(str(link))
    assert (top / "kept").exists()


def test_what_is_spared_stays_with_its_folder(top: Path) -> None:
    (top / "record.json").write_text("{}")
    (top / "upper").mkdir()
    nest(top / "upper", 100)
    folders.remove(str(top), spare="record.json")
    assert os.listdir(top) == ["record.json"]


def test_names_that_are_no_text_and_pipes_are_removed(top: Path) -> None:
    os.mkdir(os.fsencode(top) + b"/\xff\xfe\n")
    os.mkfifo(os.fsencode(top) + b"/\xff\xfe\n/pipe")
    folders.remove(str(top))
    assert not top.exists()


def test_what_is_gone_is_fine(top: Path) -> None:
    folders.remove(str(top))
    folders.remove(str(top))
    folders.remove(str(top), spare="record.json")
