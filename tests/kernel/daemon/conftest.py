from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kernel.daemon.rig import Rig, write_launcher
from tools import accelerator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def accelerated(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The client in C, before that in Python."""
    folder = tmp_path_factory.mktemp("client")
    launcher = write_launcher(folder / "python", "1")
    accelerator.compile_client(str(folder / "zonectl-1"), launcher, version="1")
    return str(folder / "zonectl-1")


@pytest.fixture
def form() -> str:
    """In which form the client is tested; test modules about it have a fixture that gives "c" as well."""
    return "python"


@pytest.fixture
def rig(tmp_path: Path, form: str, request: pytest.FixtureRequest) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    if form == "c":
        rig.launcher = request.getfixturevalue("accelerated")
    try:
        yield rig
    finally:
        rig.kill_all()
