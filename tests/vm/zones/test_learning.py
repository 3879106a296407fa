"""learn, whole, where every controller is of version 2: its runs, its trials, and what it prints, put to the proof."""

from __future__ import annotations

import json
import subprocess
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.vm.zones.test_limits import CGROUPS, Instance

if TYPE_CHECKING:
    from collections.abc import Iterator

STATE = Path("/scratch/learning-test")
COMMAND = Instance(STATE, Path("/run/learning-test"))
SOURCE = """
/* For x86-64, as the lane is. No library: a run takes seconds here, and each call that is made costs some runs. */
static long call(long number, long first, long second, long third) {
    long answer;
    __asm__ volatile("syscall"
                     : "=a"(answer) : "a"(number), "D"(first), "S"(second), "d"(third) : "rcx", "r11", "memory");
    return answer;
}
void _start(void) {
    long failed = call(92, (long)"/tmp", 7, 7); /* chown */
    call(110, 0, 0, 0);                         /* getppid, which nobody would miss */
    call(60, failed ? 1 : 0, 0, 0);             /* exit */
    __builtin_trap();
}
"""
WITHIN = ("--set", "network.mode=none", "-v")


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the program is; and an image to run it in."""
    folder = Path("/scratch/learning-programs")
    folder.mkdir()
    source = tmp_path_factory.mktemp("learning") / "work.c"
    source.write_text(SOURCE)
    subprocess.run(
        ["gcc", "-static", "-nostdlib", "-O1", "-o", str(folder / "work"), str(source)], check=True
    )
    STATE.mkdir(mode=0o700)
    COMMAND("--no-daemon", "image", "build", "busybox")
    yield f"{folder}:/opt:ro"
    assert not list(CGROUPS.glob("zonectl-*/*/payload")), "a zone's group is left"


def run(volume: str, capabilities: list[str], profile: Path) -> tuple[int, str]:
    """The exit status of the workload under these, and what zonectl says."""
    sets = {"security.capabilities": capabilities, "security.seccomp": str(profile)}
    words = [word for key, value in sets.items() for word in ("--set", f"{key}={json.dumps(value)}")]
    done = COMMAND("--no-daemon", "run", *WITHIN, volume, *words, "busybox", "--", "/opt/work", check=False)
    return done.returncode, done.stderr


def test_what_is_learned_is_enough_and_each_part_of_it_is_needed(volume: str, tmp_path: Path) -> None:
    path = tmp_path / "learned.toml"
    learned = COMMAND(
        "--no-daemon", "learn", "--output", str(path), *WITHIN, volume, "busybox", "--", "/opt/work"
    ).stdout
    table: dict[str, Any] = tomllib.loads(learned)["security"]
    assert (table["capabilities"], table["seccomp"]) == (["chown"], str(path))
    assert sorted(tomllib.loads(path.read_text())["allow"]) == ["chown", "execve", "exit"]
    assert run(volume, ["chown"], path) == (0, "")
    assert run(volume, ["none"], path) == (1, "")
    less = tmp_path / "less.toml"
    less.write_text('allow = ["execve", "exit"]\n')
    assert run(volume, ["chown"], less) == (1, "")
