"""A minute of stress-ng in a default zone: each stressor for ten seconds, with one worker, one after the other.

They call what there is not, pass addresses that are none, read and write all of /proc and /sys, unshare, and fill
keyrings. What becomes of them does not matter; the host is as before, and the neighbour answers all the while.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.host import Host
from tests.patience import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.host import Snapshot
    from tests.hostile.scene import Scene

STRESSORS = ("enosys", "sysbadaddr", "procfs", "sysfs", "unshare", "key")
SECONDS = 10
ZONE = "stressed"
_TREE = "/proc/sys"
_COUNTERS = frozenset({"ns_last_pid"})

pytestmark = pytest.mark.requires("program:stress-ng")


@pytest.mark.timeout(300)
def test_host_and_neighbour_are_unharmed(scene: Scene) -> None:
    host = Host(scene.folder, bridge=scene.z.bridge)
    was = calm(host)
    volatile = changing(settings(), settings())
    before = settings()
    begin(scene)
    for stressor in STRESSORS:
        words = [f"--{stressor}", "1", "--timeout", f"{SECONDS}s", "--temp-path", "/tmp", "--quiet"]
        argv = ["exec", "--no-tty", ZONE, "--", "/usr/bin/stress-ng", *words]
        deadline = time.monotonic() + 3 * SECONDS
        with scene.z.popen(*argv) as client:
            while client.poll() is None and time.monotonic() < deadline:
                assert scene.neighbour_answers(), stressor
                time.sleep(1)
            client.kill()
        assert scene.z.state(ZONE) == "running", stressor
        assert scene.z.exec(scene.neighbour, "echo", "fine").out == "fine\n", stressor
    scene.z("delete", "-f", ZONE)
    after = settings()
    assert not {path: (before[path], after.get(path)) for path in changing(before, after) - volatile}
    until(lambda: not changed(was, host.snapshot()), what=str(changed(was, host.snapshot())))


def calm(host: Host) -> Snapshot:
    """What the host has once the kernel has taken away what earlier zones left: twice the same, a second apart."""
    seen = [host.snapshot()]

    def is_calm() -> bool:
        time.sleep(1)
        seen.append(host.snapshot())
        return not changed(*seen[-2:])

    until(is_calm, what="the host does not come to rest")
    return seen[-1]


def begin(scene: Scene) -> None:
    """A default zone of the host's own programs: stress-ng and its libraries are among them.

    But for a limit of processes: without one, the stressor of unshare makes as many as there are numbers for.
    """
    limits = '[limits]\nnproc = "4096"\n'
    text = f'name = "{ZONE}"\ncommand = ["/bin/sleep", "1000000"]\n[root]\nhost = true\n{limits}'
    scene.z("create", scene.z.write(ZONE, text))
    scene.z("start", ZONE)


def changed(was: Snapshot, now: Snapshot) -> dict[str, frozenset[str]]:
    """What the host has now, or no longer, of what it keeps; processes come and go in the other zones."""
    kept = ("mounts", "links", "addresses", "firewall", "groups", "files")
    return {name: found for name in kept if (found := getattr(was, name) ^ getattr(now, name))}


def settings() -> dict[str, bytes]:
    """What every setting of the host says; what nobody may write counts something."""
    return {path: content for path in paths() if (content := content_of(path)) is not None}


def paths() -> Iterator[str]:
    for folder, _, names in os.walk(_TREE):
        # Settings of links come and go with zones; random and counters change by themselves.
        if "/conf/" in folder or "/neigh/" in folder or folder.endswith("/random"):
            continue
        yield from (
            path
            for name in names
            if os.stat(path := f"{folder}/{name}").st_mode & 0o222 and name not in _COUNTERS
        )


def content_of(path: str) -> bytes | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        return os.read(fd, 4096)
    except OSError:
        return None
    finally:
        os.close(fd)


def changing(one: dict[str, bytes], other: dict[str, bytes]) -> set[str]:
    """The paths that say something else, or that one of both lacks."""
    return {path for path in one.keys() | other.keys() if one.get(path) != other.get(path)}
