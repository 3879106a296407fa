"""What only a root with every capability can give: higher limits and ranks; and dumps under a pattern of the host."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.vm.zones.test_limits import LOOP, Instance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATTERN = Path("/proc/sys/kernel/core_pattern")


@pytest.fixture(scope="module")
def zonectl() -> Iterator[Instance]:
    state = Path("/scratch/processes-test")
    state.mkdir(mode=0o700)
    command = Instance(state, Path("/run/processes-test"))
    command("image", "build", "busybox")
    yield command
    command("delete", "-f", "--all", check=False)
    command("zoned", "stop", check=False)


@pytest.fixture
def started(zonectl: Instance, tmp_path: Path) -> Iterator[Callable[[str], int]]:
    """Start the zone with these tables; its init's pid."""

    def start(tables: str, *, check: bool = True) -> int:
        file = tmp_path / "raised.toml"
        file.write_text(
            f'name = "raised"\ncommand = {json.dumps(LOOP)}\n[root]\nimage = "busybox:latest"\n'
            f'[network]\nmode = "none"\n{tables}\n'
        )
        zonectl("create", str(file))
        zonectl("start", "raised", check=check)
        return int(json.loads(zonectl("list", "-c", "-o", "json", "raised").stdout)[0]["pid"] or 0)

    yield start
    zonectl("delete", "-f", "raised")


def limit(text: str, words: str) -> tuple[str, str]:
    found = re.search(rf"^{words} +(\S+) +(\S+)", text, re.MULTILINE)
    assert found, text
    return found[1], found[2]


def test_limits_are_raised_above_zonectls_own_for_init_and_exec(
    zonectl: Instance, started: Callable[[str], int]
) -> None:
    own = Path("/proc/self/limits").read_text()
    assert int(limit(own, "Max open files")[1]) < 1_000_000
    pid = started(
        '[limits]\nnofile = "900000:1000000"\nmsgqueue = "2MB"\nnice = 30\nrtprio = 5\nmemlock = "unlimited"'
    )
    for shown in (
        Path(f"/proc/{pid}/limits").read_text(),
        zonectl("exec", "raised", "cat", "/proc/self/limits").stdout,
    ):
        assert limit(shown, "Max open files") == ("900000", "1000000")
        assert limit(shown, "Max msgqueue size") == ("2000000", "2000000")
        assert limit(shown, "Max nice priority") == ("30", "30")
        assert limit(shown, "Max realtime priority") == ("5", "5")
        assert limit(shown, "Max locked memory") == ("unlimited", "unlimited")
    # What is not named is the kernel's own, although this process has less.
    assert limit(shown, "Max pending signals") == ("65536", "65536")
    # And zonectl's own workers have what they had.
    assert Path("/proc/self/limits").read_text() == own


def test_more_files_than_the_kernel_allows_anybody_are_refused(zonectl: Instance, tmp_path: Path) -> None:
    most = int(Path("/proc/sys/fs/nr_open").read_text())
    file = tmp_path / "many.toml"
    file.write_text(f'name = "many"\n[root]\nimage = "busybox:latest"\n[limits]\nnofile = {most + 1}\n')
    done = zonectl("run", str(file), check=False)
    assert done.returncode == 125
    assert f"limits.nofile: {most + 1} is above fs.nr_open, {most}" in done.stderr


def test_ranks_go_up_for_init_and_exec(zonectl: Instance, started: Callable[[str], int]) -> None:
    pid = started("[process]\nnice = -5\noom_score_adj = -500")
    assert os.getpriority(os.PRIO_PROCESS, pid) == -5
    assert Path(f"/proc/{pid}/oom_score_adj").read_text() == "-500\n"
    script = "cut -d' ' -f19 /proc/self/stat; cat /proc/self/oom_score_adj"
    assert zonectl("exec", "raised", "sh", "-c", script).stdout == "-5\n-500\n"


@pytest.fixture
def handler(tmp_path: Path) -> Iterator[Path]:
    """A handler of core dumps, which the kernel starts on the host: the file that it writes what it gets to."""
    script, got = tmp_path / "handler", tmp_path / "got"
    script.write_text(f"#!/bin/sh\nhead -c 4 >{got}\n")
    script.chmod(0o755)
    before = PATTERN.read_text()
    PATTERN.write_text(f"|{script} %p")
    yield got
    PATTERN.write_text(before)


@pytest.mark.parametrize(
    ("core", "dumped"), [("", False), ('core = "unlimited"', True), ("core = 0", True), ("core = 1", False)]
)
def test_a_crash_reaches_the_hosts_handler_only_when_asked(
    zonectl: Instance, started: Callable[[str], int], handler: Path, core: str, dumped: bool
) -> None:
    started(f"[limits]\n{core}")
    for user in ("root", "1000"):
        zonectl("exec", "-u", user, "raised", "sh", "-c", "kill -SEGV $$", check=False)
        deadline = time.monotonic() + (60 if dumped else 5)
        while not handler.exists() and time.monotonic() < deadline:
            time.sleep(0.2)
        assert handler.exists() == dumped
        handler.unlink(missing_ok=True)


def test_a_crash_leaves_no_file(zonectl: Instance, started: Callable[[str], int]) -> None:
    before = PATTERN.read_text()
    PATTERN.write_text("/tmp/core.%p")
    try:
        started("")
        zonectl("exec", "raised", "sh", "-c", "kill -SEGV $$", check=False)
        assert zonectl("exec", "raised", "ls", "/tmp").stdout == ""
    finally:
        PATTERN.write_text(before)
