from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.kernel.namespaces.zones import Ground, snapshot
from zonectl.kernel import proc

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    """A root and a piece of the host. In the end the host is as it was: its files, mounts and descriptors."""
    made = Ground(tmp_path)
    seen = _host(tmp_path)
    yield made
    assert _host(tmp_path) == seen


def _host(folder: Path) -> tuple[object, ...]:
    ours = [m.target for m in proc.mountinfo() if m.target == "/tmp" or m.target.startswith(str(folder))]
    return snapshot(folder / "host"), ours, sorted(os.listdir("/proc/self/fd")), os.uname().nodename
