"""A Debian system with systemd as process 1 of a zone; the root is made on the host, see tests/vm/debian.py."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.vm.debian import IMAGE
from tests.vm.zones.test_limits import Instance, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path("/run/debian")


@pytest.fixture(scope="module")
def debian() -> Iterator[Path]:
    assert IMAGE.is_file(), "python -m tests.vm makes it on the host"
    ROOT.mkdir()
    subprocess.run(["mount", "-o", "loop,ro", IMAGE, ROOT], check=True)
    yield ROOT
    subprocess.run(["umount", ROOT], check=True)


def test_systemd_reaches_its_default_target_and_stops_in_order(debian: Path, tmp_path: Path) -> None:
    state = Path("/scratch/systemd-test")
    state.mkdir(mode=0o700)
    zonectl = Instance(state, Path("/run/systemd-test"))
    file = tmp_path / "systemd.toml"
    file.write_text(
        'name = "systemd"\ncommand = ["/lib/systemd/systemd"]\nstop_signal = "SIGRTMIN+3"\nstop_timeout = "2min"\n'
        f'[root]\npath = "{debian}"\n[resources]\nmemory = "512MiB"\npids = 256\n'
    )
    zonectl("create", str(file))
    try:
        zonectl("start", "systemd")
        deadline = time.monotonic() + 240
        while (default := is_active(zonectl)) != "active":
            assert time.monotonic() < deadline, f"the default target is {default}"
            time.sleep(1)
        see_what_is_in_it(zonectl)
        began = time.monotonic()
        zonectl("stop", "systemd")
        assert time.monotonic() - began < 120, "it had to be killed"
        shown = zonectl("show", "systemd").stdout
    finally:
        zonectl("delete", "-f", "systemd", check=False)
        zonectl("zoned", "stop", check=False)
    assert "SIGKILL" not in shown


def see_what_is_in_it(zonectl: Instance) -> None:
    # Others than that of the target may still be at work.
    wait_until(lambda: jobs(zonectl) == "", seconds=240)
    packages = zonectl("exec", "systemd", "--", "dpkg", "-l").stdout
    audit = zonectl("show", "--security", "systemd", check=False)
    assert packages.count("\nii ") > 50
    assert audit.returncode == 0, audit.stdout + audit.stderr


def jobs(zonectl: Instance) -> str:
    return zonectl("exec", "systemd", "--", "systemctl", "list-jobs", "--no-legend").stdout


def is_active(zonectl: Instance) -> str:
    argv = ("exec", "systemd", "--", "systemctl", "is-active", "multi-user.target", "--quiet")
    return "active" if zonectl(*argv, check=False).returncode == 0 else "not yet active"
