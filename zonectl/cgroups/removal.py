"""Killing what runs in a group, and removing it with all that was made below. Linux 5.14 (cgroup.kill)."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from errno import EBUSY, ENOENT, ENOTEMPTY

from zonectl.cgroups import events, files, walk
from zonectl.errors import SyscallError, TimedOut

_RETRY_S = 0.002


def kill(directory: str, *, timeout_s: float) -> None:
    """Kill every process of the group at `directory` and below, those that fork meanwhile too, and wait.

    Frozen processes die as well. With `timeout_s` 0 nothing is waited for. A group that is gone is fine. The dead
    remain to be reaped by their parents.

    Raises:
        TimedOut: some are still there (they sleep in the kernel); the message has their pids.
        SyscallError: the group cannot be killed.

    """
    try:
        files.write(f"{directory}/cgroup.kill", "1")
    except SyscallError as error:
        if error.errno == ENOENT and not os.path.isdir(directory):
            return
        raise
    if timeout_s and not events.wait(directory, key="populated", value=0, timeout_s=timeout_s):
        raise TimedOut(f"{_who(directory)} did not end", after_s=timeout_s, hint="see `ps -o stat,wchan`")


def remove(directory: str, *, timeout_s: float) -> None:
    """Kill what runs in the group at `directory`, and remove it and all below; one that is gone is fine.

    Raises:
        TimedOut: it could not be emptied in time.
        SyscallError: the kernel refuses to remove it for another reason.

    """
    deadline = time.monotonic() + timeout_s
    try:
        top = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        while not _removed(directory, top, left_s=max(deadline - time.monotonic(), _RETRY_S)):
            if time.monotonic() >= deadline:
                raise TimedOut(f"{directory} was not removed: something is made in it", after_s=timeout_s)
            time.sleep(_RETRY_S)
    finally:
        os.close(top)


def discard(directory: str) -> bool:
    """Remove the group at `directory` if it has neither processes nor groups; whether it is gone.

    Raises:
        SyscallError: the kernel refuses for another reason than that it is in use.

    """
    try:
        os.rmdir(directory)
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno in {EBUSY, ENOTEMPTY}:
            return False
        raise SyscallError("rmdir", error.errno or 0, directory) from error
    return True


def _removed(directory: str, top: int, *, left_s: float) -> bool:
    if events.is_set(directory, "populated"):
        kill(directory, timeout_s=left_s)
    walk.prune(top)
    return discard(directory)


def _who(directory: str) -> str:
    with suppress(FileNotFoundError):
        top = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            pids = walk.processes(top, recursive=True)
        finally:
            os.close(top)
        return f"pid {', '.join(map(str, pids[:8]))}" + (" and more" if pids[8:] else "")
    return "a process"
