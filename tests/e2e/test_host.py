"""The comparison of the host sees what it is there to see: each thing left behind is told, and gone it is not."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from tests.patience import until
from tests.requirements import cgroup2_mount

if TYPE_CHECKING:
    from tests.e2e.instance import Zonectl


def run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True)


def told(z: Zonectl, what: str) -> bool:
    return any(what in line for line in z.host.changes())


def test_what_is_left_is_told(z: Zonectl) -> None:
    assert z.host.changes() == []
    mount = cgroup2_mount()
    assert mount is not None
    group = mount / f"zonectl-{z.mark}"
    group.mkdir()
    run("ip", "link", "add", z.bridge, "type", "bridge")
    run("ip", "address", "add", f"{z.network}.1/24", "dev", z.bridge)
    run("nft", "add", "table", "inet", f"zonectl_{z.mark}")
    run("mount", "-t", "tmpfs", "none", str(z.folder / "root"))
    try:
        for what in (group.name, z.bridge, f"{z.network}.1/24", f"zonectl_{z.mark}", "/root"):
            assert told(z, what), what
    finally:
        run("umount", str(z.folder / "root"))
        run("nft", "delete", "table", "inet", f"zonectl_{z.mark}")
        run("ip", "link", "delete", z.bridge)
        group.rmdir()
    assert z.host.changes() == []


def test_processes_and_namespaces_are_told(z: Zonectl) -> None:
    with subprocess.Popen(["unshare", "--uts", "--net", "sleep", "1000"]) as child:
        until(lambda: told(z, "sleep 1000") and told(z, "net:["))
        child.kill()
    # One that has lost its parent, and is known by its words.
    script = "import os, time\nif not os.fork(): time.sleep(1000)"
    subprocess.run(
        [sys.executable, "-c", script, str(z.folder)], check=True, stdout=subprocess.DEVNULL, timeout=20
    )
    (line,) = [line for line in z.host.changes() if str(z.folder) in line]
    run("kill", line.split()[2])
    until(lambda: z.host.changes() == [])


def test_a_descriptor_is_told(z: Zonectl) -> None:
    with open("/etc/passwd", encoding="utf-8"):
        assert told(z, "/etc/passwd")
    assert z.host.changes() == []
