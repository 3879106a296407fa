"""The calls that change something, read from what strace(1) wrote of a process."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

KILL = "SIGKILL"

_ON_DISK = ("ENOSPC", "EIO")
_ERRORS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("mkdir", "mkdirat", "rename", "renameat2", "link", "linkat", "symlink", "symlinkat"), _ON_DISK
    ),
    **dict.fromkeys(
        ("write", "pwrite64", "fsync", "fdatasync", "ftruncate", "fallocate"), (*_ON_DISK, "EINTR")
    ),
    **dict.fromkeys(("unlink", "unlinkat", "rmdir", "fchmod", "fchown", "chmod"), ("EIO",)),
    **dict.fromkeys(("fsetxattr", "utimensat", "ioctl"), ("EIO",)),
    **dict.fromkeys(("clone3", "clone", "fork", "vfork", "unshare", "setns"), ("ENOMEM", "EAGAIN")),
    **dict.fromkeys(("fsopen", "fsmount", "open_tree"), ("ENOMEM", "EMFILE")),
    **dict.fromkeys(
        ("mount", "move_mount", "fsconfig", "mount_setattr", "pivot_root", "umount2"), ("ENOMEM",)
    ),
    **dict.fromkeys(("sendto", "sendmsg"), ("ENOMEM", "EINTR")),
    **dict.fromkeys(("socket", "socketpair", "pipe2", "pidfd_open", "memfd_create"), ("EMFILE",)),
    **dict.fromkeys(("bpf", "seccomp", "keyctl", "prctl", "capset", "setresuid", "setgroups"), ("EPERM",)),
    "openat": (*_ON_DISK, "EMFILE"),
    "openat2": ("EMFILE",),
    "sethostname": ("EIO",),
    "bind": ("EADDRINUSE",),
    "mknodat": ("ENOSPC",),
    "flock": ("EINTR",),
    "kill": (),
    "pidfd_send_signal": (),
    "exit_group": (),
    "execve": ("ENOMEM",),
    "execveat": ("ENOMEM",),
}
"""What each call may fail with; all of them are points for a kill as well."""

NAMES = tuple(_ERRORS)

_LINE = re.compile(r"(?:(?P<pid>\d+) +)?(?P<name>\w+)\((?P<rest>.*)")
_WRITES = re.compile(r"O_(CREAT|WRONLY|RDWR|TRUNC|APPEND)")


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """A fault: `fault` (SIGKILL or the name of an errno) at the `nth` call of that name, counted from 1."""

    call: str
    nth: int
    fault: str = KILL

    @property
    def expression(self) -> str:
        """What strace's `-e inject=` takes."""
        how = f"signal={KILL}" if self.fault == KILL else f"error={self.fault}"
        return f"{self.call}:{how}:when={self.nth}"

    def __str__(self) -> str:
        """For a report."""
        return f"{self.fault} at {self.call} {self.nth}"


def kills(lines: Iterable[str]) -> list[Point]:
    """Every call of a trace that changes something, as a point to be killed at; each once, in order.

    strace counts for each process on its own, so the nth call of two processes is one point: who comes first dies.
    """
    found: dict[Point, None] = {}
    counts: Counter[tuple[str, str]] = Counter()
    for line in lines:
        match = _LINE.match(line)
        if match is None or match["name"] not in _ERRORS:
            continue
        name = match["name"]
        counts[match["pid"] or "", name] += 1
        if _changes(name, match["rest"]):
            found[Point(name, counts[match["pid"] or "", name])] = None
    return list(found)


def errors(points: Iterable[Point]) -> list[Point]:
    """The errors that these calls may fail with, a point each."""
    return [Point(point.call, point.nth, error) for point in points for error in _ERRORS[point.call]]


def _changes(name: str, rest: str) -> bool:
    if name == "openat":
        return _WRITES.search(rest) is not None
    if name == "ioctl":
        return "FICLONE" in rest
    return True
