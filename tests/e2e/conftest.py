"""An instance of a test's own, and the host compared before and after it."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests import requirements
from tests.e2e.instance import COMMAND, Zonectl

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NEEDS = ("root", "cgroup2", "overlay", "bridge", "veth", "nft", "userns", "namespace:time",
         "program:busybox", "program:catatonit")  # fmt: skip


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What every test of this folder needs."""
    for item in items:
        if "tests/e2e" in item.path.as_posix():
            item.add_marker(pytest.mark.requires(*NEEDS))


@pytest.fixture(scope="session")
def busybox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that holds the image of busybox, made once."""
    requirements.demand(NEEDS)
    folder = tmp_path_factory.mktemp("store")
    words = [COMMAND, "--no-daemon", "--root", f"{folder}/root", "--run", f"{folder}/run"]
    subprocess.run([*words, "image", "build", "busybox"], check=True, timeout=60, capture_output=True)
    return folder / "root" / "images"


@contextmanager
def instance(folder: Path, images: Path) -> Iterator[Zonectl]:
    """An instance below `folder`; at the end its zones are deleted, and the host is as it was."""
    z = Zonectl(folder)
    z.root.mkdir(mode=0o700)
    shutil.copytree(images, z.root / "images", symlinks=True)
    try:
        yield z
    finally:
        z.clear()
    z.host.check()
    assert not z.complaints(), z.complaints()


@pytest.fixture
def z(tmp_path: Path, busybox: Path) -> Iterator[Zonectl]:
    """An instance of the test's own; the host is compared before and after the test."""
    with instance(tmp_path, busybox) as z:
        yield z


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, busybox: Path) -> Iterator[Zonectl]:
    """An instance for all tests of a module that leave nothing in it; the host is compared around all of them."""
    with instance(tmp_path_factory.mktemp("shared"), busybox) as z:
        yield z
