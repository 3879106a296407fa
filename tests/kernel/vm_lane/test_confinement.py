"""What holds the lane's machine, with programs of a few milliseconds in its place."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.vm.lane import confinement
from tests.vm.lane.confinement import Programs

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.requires("root")

END_S = 60.0

# A lane whose programs hold the pipe of argv[1]: they write to it that they run, and then sleep.
LANE = """
import signal, sys, time
from tests.vm.lane import confinement
signal.signal(signal.SIGINT, signal.default_int_handler)
fd = int(sys.argv[1])
sleeper = ["sh", "-c", f"echo runs >/proc/self/fd/{fd}; exec sleep 1000"]
programs = confinement.Programs(daemons=[sleeper], machine=sleeper, writable=[], pass_fds=[fd])
with confinement.running(programs, sys.stderr):
    time.sleep(1000)
"""


def run(*script: str, writable: Sequence[Path] = (), daemon: str = "true") -> str:
    """What a machine that is this shell script writes."""
    read_fd, write_fd = os.pipe()
    machine = ["sh", "-c", f"exec >/proc/self/fd/{write_fd} 2>&1; {'; '.join(script)}"]
    programs = Programs(
        daemons=[["sh", "-c", daemon]], machine=machine, writable=writable, pass_fds=[write_fd]
    )
    with tempfile.TemporaryFile("w+") as log, confinement.running(programs, log):
        os.close(write_fd)
        with open(read_fd) as output:
            return output.read()


def wait_for_end(fd: int) -> bytes:
    """What is left in a pipe, once nobody holds its other end."""
    rest = b""
    while select.select([fd], [], [], END_S)[0]:
        data = os.read(fd, 4096)
        if not data:
            return rest
        rest += data
    pytest.fail("a process has survived")


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_survives_the_lane(signum: int) -> None:
    read_fd, write_fd = os.pipe()
    argv = [sys.executable, "-c", LANE, str(write_fd)]
    with subprocess.Popen(argv, pass_fds=[write_fd], stderr=subprocess.DEVNULL) as lane:
        os.close(write_fd)
        with open(read_fd, "rb", buffering=0) as pipe:
            assert pipe.readline() == pipe.readline() == b"runs\n"
            lane.send_signal(signum)
            lane.wait(END_S)
            assert wait_for_end(pipe.fileno()) == b""


def test_daemons_end_with_the_machine() -> None:
    assert run("echo done", daemon="exec sleep 1000") == "done\n"


def test_host_is_read_only_and_shared_folders_are_not(tmp_path: Path) -> None:
    shared = tmp_path / "shared folder"
    shared.mkdir()
    said = run(f"touch '{shared}/file'", f"touch '{tmp_path}/file'", writable=[shared])
    assert "Read-only file system" in said
    assert [path.name for path in tmp_path.rglob("*")] == ["shared folder", "file"]


def test_mounts_of_the_host_stay_as_they_are() -> None:
    before = Path("/proc/self/mountinfo").read_text()
    run("true", writable=[Path.cwd()])
    assert Path("/proc/self/mountinfo").read_text() == before


def test_processes_of_the_host_are_out_of_sight() -> None:
    assert run("tr '\\0' ' ' </proc/1/cmdline").startswith("sh -c set -e")
