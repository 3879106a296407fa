"""Trying something for real in a forked child, which takes all that it changed with it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from zonectl.errors import ZonectlError
from zonectl.kernel import process
from zonectl.model.facts import Probe

if TYPE_CHECKING:
    from collections.abc import Callable

TRIAL_S: Final = 10.0
REPORT_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Trial:
    """Whether it worked, and what was seen."""

    ok: bool
    seen: str

    def probe(self, name: str, *, needed: bool, remedy: str) -> Probe:
        """What `zonectl doctor` shows of it; the remedy only where one is due."""
        return Probe(name=name, ok=self.ok, seen=self.seen, needed=needed, remedy="" if self.ok else remedy)


def here(work: Callable[[], str]) -> Trial:
    """Do `work`, which returns what it saw, in this process: for what changes nothing."""
    try:
        return Trial(ok=True, seen=work())
    except ZonectlError as error:
        return Trial(ok=False, seen=error.message)
    except OSError as error:
        return Trial(ok=False, seen=f"{error.filename or ''}: {error.strerror}".removeprefix(": "))


def in_child(work: Callable[[], str]) -> Trial:
    """Do `work` in a forked child, which is killed when it takes longer than ten seconds."""
    reading, writing = os.pipe()
    try:
        _pid, pidfd = process.spawn(lambda: _report(writing, here(work)))
        try:
            return _outcome(pidfd, reading)
        finally:
            os.close(pidfd)
    finally:
        os.close(writing)
        os.close(reading)


def _report(writing: int, trial: Trial) -> int:
    os.write(writing, trial.seen.encode(errors="replace")[:REPORT_BYTES])
    return 0 if trial.ok else 1


def _outcome(pidfd: int, reading: int) -> Trial:
    status = process.wait_pidfd(pidfd, timeout_s=TRIAL_S)
    if status is None:
        process.kill_and_reap(pidfd)
        return Trial(ok=False, seen=f"not done in {TRIAL_S:g} s")
    if status.status not in (0, 1):
        return Trial(ok=False, seen=f"the trial ended with status {status.code}")
    os.set_blocking(reading, False)
    try:
        seen = os.read(reading, REPORT_BYTES)
    except BlockingIOError:
        seen = b""
    return Trial(ok=status.status == 0, seen=seen.decode(errors="replace"))
