from __future__ import annotations

import itertools
import os
import shutil
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.kernel.runtime.talk import Talk, talking
from tests.kernel.runtime.world import World, make_root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_NUMBERS = itertools.count(os.getpid() * 7)


@pytest.fixture(scope="session")
def busybox_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root that no test may change."""
    return make_root(tmp_path_factory.mktemp("busybox") / "root")


@pytest.fixture
def world(tmp_path: Path, busybox_root: Path) -> Iterator[World]:
    """An instance of the test's own, gone with all of its zones in the end."""
    # No link to it: the kernel would name it otherwise than the plan does.
    shutil.copytree(busybox_root, tmp_path / "root", symlinks=True, copy_function=os.link)
    made = World(folder=tmp_path, number=next(_NUMBERS))
    made.context.paths.ensure()
    before = made.footprint()
    try:
        yield made
    finally:
        made.clean()
    made.becomes(before, save="files")
    assert made.shared() == []


@pytest.fixture
def talk() -> Iterator[Callable[..., Talk]]:
    """Start zonectl-entry as an init: see `talking`."""
    with ExitStack() as held:
        yield lambda *given, **wishes: held.enter_context(talking(*given, **wishes))
