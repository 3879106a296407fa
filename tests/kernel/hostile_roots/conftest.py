from __future__ import annotations

import itertools
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.kernel.hostile_roots.cage import Cage
from tests.kernel.hostile_roots.zoo import Canary
from tests.kernel.runtime.world import World
from zonectl.images import references
from zonectl.kernel import mount

if TYPE_CHECKING:
    from collections.abc import Iterator

_NUMBERS = itertools.count(os.getpid() * 11)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An instance for all tests of a module, and beside it the canary, on a file system that notes each access."""
    folder = tmp_path_factory.mktemp("zoo")
    world = World(folder=folder, number=next(_NUMBERS))
    world.context.paths.ensure()
    os.mkdir(f"{world.context.paths.images_dir}/layers")
    references.save(world.context.paths, {})  # as after the last image has gone
    (folder / "host").mkdir()
    mount.mount("zoo", folder / "host", "tmpfs", mount.MS_STRICTATIME | mount.MS_NODEV, "size=1m")
    Canary(folder / "host").make()
    try:
        yield world
    finally:
        world.clean()
        mount.umount(folder / "host")
        shutil.rmtree(folder)
    assert world.shared() == []


@pytest.fixture
def cage(ground: World) -> Iterator[Cage]:
    """A root to be spoilt; at the end neither the canary nor anything else of the host has changed."""
    cage = Cage(ground)
    try:
        yield cage
    finally:
        cage.leave()
