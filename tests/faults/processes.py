"""zoned and its workers as the kernel shows them: which there are, and when none of them has anything left to do."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.instance import Zonectl

_ACCEPT4 = ("288", "242")
"""Of x86 and of arm64 (asm/unistd_64.h, asm-generic/unistd.h)."""

_STILL_S = 0.03
_TIMEOUT_S = 30.0


def zoned(z: Zonectl) -> int:
    """The pid of the instance's zoned by its lock file, which gives no worker anything to do; 0 if there is none."""
    try:
        pid = int((z.run_root / "zoned.lock").read_text(encoding="ascii").split()[0])
    except (FileNotFoundError, IndexError):
        return 0
    words = _read(pid, "cmdline")
    return pid if "zoned" in words and str(z.folder) in words and not _ended(pid) else 0


def workers(zoned_pid: int) -> list[int]:
    """The children of zoned that run its own program: workers, the logger, and what it has forked to clear up."""
    pids = _read(zoned_pid, f"task/{zoned_pid}/children").split()
    return [int(pid) for pid in pids if "zoned" in _read(int(pid), "cmdline")]


def waits_for_a_client(pid: int) -> bool:
    """Whether the process is in accept4(2)."""
    return _read(pid, "syscall").partition(" ")[0] in _ACCEPT4


def children(pid: int) -> set[int]:
    """The children of a process that have not ended, whatever they run."""
    found = (int(child) for child in _read(pid, f"task/{pid}/children").split())
    return {child for child in found if not _ended(child)}


def wait_asleep(pid: int) -> bool:
    """Wait until the process sleeps and goes on sleeping; False where it ends before.

    Raises:
        RuntimeError: it never sleeps.

    """
    deadline = time.monotonic() + _TIMEOUT_S
    while (status := _read(pid, "status")) and "\nState:\tZ" not in status:
        before = _counted(pid)
        time.sleep(_STILL_S)
        if before and before == _counted(pid):
            return True
        if time.monotonic() > deadline:
            raise RuntimeError(f"process {pid} does not come to rest")
    return False


def calm(z: Zonectl) -> list[int]:
    """Wait until zoned and its workers sleep and go on sleeping: zoned's pid and theirs; nothing if there is none.

    A worker that is forked goes through a rehearsal first, one that has served is wiped, and zoned clears up behind a
    zone that has ended. What comes before and behind that differs from time to time, and so would the count of calls.

    Raises:
        RuntimeError: something never comes to rest.

    """
    deadline = time.monotonic() + _TIMEOUT_S
    before = None
    while before is None or before != (now := _switches(z)) or not all(now.values()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"zoned and its workers are still busy after {_TIMEOUT_S:.0f} s")
        before = _switches(z)
        time.sleep(_STILL_S)
    return list(before)


def _switches(z: Zonectl) -> dict[int, str]:
    """What the kernel has counted of each process that sleeps; "" of one that does not."""
    pid = zoned(z)
    return {each: _counted(each) for each in ([pid, *workers(pid)] if pid else [])}


def _counted(pid: int) -> str:
    status = _read(pid, "status")
    if "\nState:\tS" not in status:
        return ""
    return "".join(line for line in status.splitlines() if "ctxt_switches" in line)


def _ended(pid: int) -> bool:
    return "\nState:\tZ" in _read(pid, "status")


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
