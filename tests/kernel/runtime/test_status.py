"""Whether an init is alive, where that cannot be asked."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.kernel.runtime.trace import REPOSITORY

pytestmark = pytest.mark.requires("root", "program:strace")

ASK = """
import os
from zonectl.errors import SyscallError
from zonectl.kernel import proc
from zonectl.model.record import LiveNote
from zonectl.runtime.status import open_init

pid = os.getpid()
live = LiveNote(pid=pid, start_ticks=proc.start_ticks(pid), boot_id=proc.boot_id(), started_at=0.0)
try:
    print(open_init(live))
except SyscallError as error:
    print(error.call, error.errno)
"""


def ask(*faults: str) -> str:
    """What is said of this very program's process, which lives, with `faults` injected by strace."""
    inject = [word for fault in faults for word in ("-e", f"inject=pidfd_open:{fault}")]
    strace = ["strace", "-qq", "-o", "/dev/null", "-e", "trace=pidfd_open", *inject]
    words = [*(strace if faults else ()), sys.executable, "-c", ASK]
    done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


@pytest.mark.fault(
    "the kernel has no descriptor, or no memory, to ask for a zone's init with",
    "that is an error; the zone is not taken for ended",
)
def test_a_question_that_cannot_be_asked_is_no_end() -> None:
    assert ask().isdecimal()
    assert ask("error=EMFILE") == "pidfd_open 24"
    assert ask("error=ENOMEM") == "pidfd_open 12"


@pytest.mark.parametrize("told", ["ESRCH", "EINVAL", "ENOENT"])
def test_a_pid_that_is_no_process_s_is_an_end(told: str) -> None:
    assert ask(f"error={told}") == "None"
