"""Whose a file is that a verb has replaced."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from zonectl.cli.outputs import Output

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.requires("root")


def test_a_file_stays_its_owners(tmp_path: Path) -> None:
    path = tmp_path / "old"
    path.touch(mode=0o640)
    os.chown(path, 1234, 5678)
    Output(str(path), private=True).write("text")
    there = path.stat()
    assert (there.st_uid, there.st_gid, there.st_mode & 0o7777) == (1234, 5678, 0o640)
