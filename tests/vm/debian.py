"""A Debian root with systemd in an ext4 image, made on the host once and kept in the cache.

The guest could neither download it nor id-map the host's own file system, which it sees through virtiofs.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "zonectl-tests")
IMAGE = CACHE / "bookworm-systemd.ext4"
PACKAGES = "systemd,systemd-sysv,dbus"
SIZE = "500M"


def make() -> None:
    """Make the image where it is missing: about 40 s, by mmdebstrap and mke2fs, which need no mount."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not IMAGE.exists():
            sys.stderr.write("making a Debian root with systemd\n")
            with tempfile.TemporaryDirectory(dir=CACHE) as folder:
                _make(Path(folder))


def _make(folder: Path) -> None:
    tree, image = folder / "tree", folder / "image"
    run("mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(tree))
    run("mke2fs", "-q", "-t", "ext4", "-d", str(tree), str(image), SIZE)
    image.rename(IMAGE)


def run(*argv: str) -> None:
    """Run a program; what it said is shown if it fails."""
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=600
    )
    if done.returncode:
        raise SystemExit(f"{argv[0]}: status {done.returncode}\n{done.stdout}{done.stderr}")
