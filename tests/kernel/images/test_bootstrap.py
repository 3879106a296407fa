from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zonectl.errors import ImageError
from zonectl.images import bootstrap, layers

if TYPE_CHECKING:
    from zonectl.store.paths import Paths

pytestmark = pytest.mark.requires("root", "program:busybox")


def test_busybox_runs_and_is_the_same_each_time(paths: Paths) -> None:
    image = bootstrap.busybox(paths)
    before = os.umask(0o077)
    try:
        assert bootstrap.busybox(paths) == image == layers.resolve(paths, "busybox")
    finally:
        os.umask(before)
    root = image.layers[0]
    done = subprocess.run(
        ["chroot", root, "/bin/sh", "-c", "id -u; cat /etc/passwd | wc -l; which env"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["0", "2", "/usr/bin/env"]
    assert Path(root).stat().st_mode & 0o7777 == 0o755
    assert Path(root, "tmp").stat().st_mode & 0o7777 == 0o1777
    assert not Path(root, "bin/busybox").is_symlink()
    assert layers.verify(paths) == []


def test_a_host_without_a_static_busybox_is_told_what_to_install(paths: Paths, tmp_path: Path) -> None:
    for program in ("/nonexistent/busybox", "/bin/true"):
        with pytest.raises(ImageError) as caught:
            bootstrap.busybox(paths, program=program)
        assert caught.value.hint == "apt install busybox-static"


def test_references_of_debian() -> None:
    assert str(bootstrap.debian_reference("bookworm")) == "debian:12"
    assert str(bootstrap.debian_reference("sid")) == "debian:sid"
    assert str(bootstrap.debian_reference("trixie", "apt")) == "debian:13-apt"
    with pytest.raises(ImageError):
        bootstrap.debian_reference("--option /etc")


def test_debian_that_is_there_is_not_built_again(paths: Paths, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    image = layers.import_dir(paths, str(tmp_path / "made"), "debian:12")
    assert bootstrap.debian(paths) == image


def test_a_failing_mmdebstrap_leaves_nothing(paths: Paths) -> None:
    with pytest.raises(ImageError, match="cannot build debian:none"):
        bootstrap.debian(paths, "none", mirror="file:///nonexistent")
    assert [name for name in os.listdir(paths.images_dir) if name.startswith(".tmp-")] == []
