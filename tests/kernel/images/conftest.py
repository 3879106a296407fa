"""An instance of the test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from zonectl.model.instance import Instance
from zonectl.store.paths import Paths

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    made = Paths(Instance(root=str(tmp_path / "root"), run=str(tmp_path / "run")))
    made.ensure()
    return made
