"""What this machine says of itself."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest

from tests.kernel import forked
from zonectl.bench import disturbances, machine
from zonectl.kernel import mount, process


def test_this_host() -> None:
    found = machine.host("/", programs=("python3",))
    assert found.kernel == os.uname().release
    assert found.processors == os.cpu_count()
    assert found.memory_bytes == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert found.processor
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        types = {line.split()[2] for line in mounts}
    assert found.file_system in types
    assert machine.host("/proc/self").file_system == "proc"
    assert found.versions["python3"].startswith("Python 3")


@pytest.mark.requires("root", "program:crun")
def test_asking_for_a_version_leaves_nothing_behind() -> None:
    def ask() -> int:
        process.unshare(process.CLONE_NEWNS)
        mount.mount(None, "/", None, mount.MS_REC | mount.MS_PRIVATE)
        mount.mount("run", "/run", "tmpfs")
        found = machine.host("/", programs=("crun",)).versions
        assert found["crun"].startswith("crun")
        assert os.listdir("/run") == []
        return 0

    pidfd = forked.spawn(ask)
    ended = process.wait_pidfd(pidfd)
    os.close(pidfd)
    assert ended is not None
    assert ended.status == 0


@pytest.mark.requires("pressure")
def test_work_on_a_processor_is_seen() -> None:
    """Two that want the same processor: one of them waits."""
    processor = max(os.sched_getaffinity(0))
    waited, spent = 0, 0
    before = disturbances.read(processor)
    spin = f"import os; os.sched_setaffinity(0, {{{processor}}})\nwhile True: pass"
    with ExitStack() as held:
        for _ in range(2):
            child = held.enter_context(subprocess.Popen([sys.executable, "-ISc", spin]))
            held.callback(child.kill)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            after = disturbances.read(processor)
            waited = after.waited_us["cpu"] - before.waited_us["cpu"]
            spent = sum(after.ticks[:8]) - sum(before.ticks[:8])
            if waited > 20_000 and spent > 0:
                break
            time.sleep(0.05)
    assert waited > 20_000
    assert spent > 0
