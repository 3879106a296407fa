"""Which links of the host are followed on the way to what root has named."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from zonectl.errors import SyscallError, ZonectlError
from zonectl.kernel.trusted import open_trusted

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.requires("root")

SOMEBODY = 12345


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What is led to, and a folder on the way."""
    (tmp_path / "there/inner").mkdir(parents=True)
    (tmp_path / "way").mkdir(mode=0o755)
    return tmp_path


def _leads_to(path: Path | str, expected: Path) -> bool:
    fd = open_trusted(str(path))
    try:
        return os.path.samestat(os.fstat(fd), expected.stat())
    finally:
        os.close(fd)


@pytest.mark.parametrize("to", ["../there", "{folder}/there", "./../way/.././there/", "second"])
def test_a_link_of_roots_is_followed(folder: Path, to: str) -> None:
    (folder / "way/second").symlink_to("../there")
    (folder / "way/link").symlink_to(to.format(folder=folder))
    assert _leads_to(folder / "way/link", folder / "there")
    assert _leads_to(folder / "way/link/inner", folder / "there/inner")
    assert _leads_to(folder / "there/inner/../../there", folder / "there")


def test_the_hosts_own_links_are_followed(folder: Path) -> None:
    """/etc/localtime and /var/run are what zone files name."""
    del folder
    for path in ("/bin", "/var/run"):
        if os.path.islink(path):
            fd = open_trusted(path)
            assert os.path.samestat(os.fstat(fd), os.stat(path))
            os.close(fd)


def test_a_link_that_somebody_owns_is_not(folder: Path) -> None:
    link = folder / "way/link"
    link.symlink_to("../there")
    os.chown(link, SOMEBODY, SOMEBODY, follow_symlinks=False)
    with pytest.raises(ZonectlError, match=f"leads through the link {link}, which not only root"):
        open_trusted(f"{link}/inner")


@pytest.mark.parametrize(("owner", "mode"), [(SOMEBODY, 0o755), (0, 0o775), (0, 0o757), (0, 0o1777)])
def test_a_link_where_others_may_write_is_not(folder: Path, owner: int, mode: int) -> None:
    (folder / "way/link").symlink_to("../there")
    os.chown(folder / "way", owner, -1)
    (folder / "way").chmod(mode)
    with pytest.raises(ZonectlError, match="not only root"):
        open_trusted(f"{folder}/way/link")


def test_a_link_where_a_zone_writes_as_root_is_not(folder: Path) -> None:
    (folder / "way/link").symlink_to("../there")
    (folder / "alias").symlink_to("way")
    with pytest.raises(ZonectlError, match="not only root"):
        open_trusted(f"{folder}/way/link", shared=lambda: [f"{folder}/alias"])
    os.close(open_trusted(f"{folder}/way/link", shared=lambda: [f"{folder}/wa", f"{folder}/way/lin"]))


@pytest.mark.parametrize("to", ["link", "nowhere"])
def test_what_leads_nowhere_is_said(folder: Path, to: str) -> None:
    (folder / "way/link").symlink_to(to)
    before = os.listdir("/proc/self/fd")
    with pytest.raises(SyscallError, match=f"{folder}/way/link: (No such|Too many)"):
        open_trusted(f"{folder}/way/link")
    assert os.listdir("/proc/self/fd") == before


def test_no_magic_link_is_followed() -> None:
    with pytest.raises((SyscallError, ZonectlError)):
        open_trusted("/proc/self/root/etc")
