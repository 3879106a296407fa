from __future__ import annotations

import os
from pathlib import Path

import pytest

from zonectl.errors import StoreError
from zonectl.model.instance import Instance
from zonectl.store.paths import Paths


def test_the_layout_is_the_documented_one() -> None:
    paths = Paths(Instance())
    assert paths.zone_file("web") == "/var/lib/zonectl/zones/web/zone.toml"
    assert paths.record_file("web") == "/var/lib/zonectl/zones/web/record.json"
    assert paths.leases_file == "/var/lib/zonectl/leases.json"
    assert paths.live_file("web") == "/run/zonectl/zones/web/live.json"
    assert paths.lock_file("web") == "/run/zonectl/zones/web/lock"
    assert paths.socket == "/run/zonectl/zoned.sock"


def test_ensure_makes_folders_for_their_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    paths = Paths(Instance(root=str(tmp_path / "a/b"), run=str(tmp_path / "run")))
    before = os.umask(0)
    try:
        paths.ensure()
        paths.ensure()
    finally:
        os.umask(before)
    for folder in (paths.root, paths.run_dir, paths.zones_dir, paths.images_dir, paths.run_zones_dir):
        assert Path(folder).stat().st_mode & 0o7777 == 0o700


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o1777])
def test_a_root_that_others_can_write_is_refused(tmp_path: Path, mode: int) -> None:
    root = tmp_path / "root"
    root.mkdir()
    root.chmod(mode)
    with pytest.raises(StoreError, match="can be written by others"):
        Paths(Instance(root=str(root), run=str(tmp_path / "run"))).ensure()


def test_a_file_in_the_place_of_a_root_is_refused(tmp_path: Path) -> None:
    (tmp_path / "root").touch()
    with pytest.raises(StoreError, match="not a folder"):
        Paths(Instance(root=str(tmp_path / "root"), run=str(tmp_path / "run"))).ensure()


def test_a_root_may_be_a_link_of_its_owner(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir(mode=0o700)
    (tmp_path / "root").symlink_to(tmp_path / "disk")
    Paths(Instance(root=str(tmp_path / "root"), run=str(tmp_path / "run"))).ensure()
    assert (tmp_path / "disk/zones").is_dir()
