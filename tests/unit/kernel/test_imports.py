"""The room is imported by every start of a zone: what it costs is held."""

from __future__ import annotations

import subprocess
import sys

import pytest

MODULES = ("attributes", "ending", "idmap", "mount", "path", "proc", "process", "pty", "host")
HEAVY = ("socket", "subprocess", "json", "logging", "tempfile", "asyncio", "prctl", "pyroute2")


@pytest.mark.parametrize("module", [*MODULES, "command", "reflink"])
def test_nothing_heavy_comes_along(module: str) -> None:
    """In a child without site, which imports what an environment's .pth files please."""
    script = f"import sys; sys.path.insert(0, ''); import zonectl.kernel.{module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-S", "-c", script], check=True, capture_output=True, text=True)
    assert not set(done.stdout.split()) & set(HEAVY)
