"""cgroup.events: whether a group has processes and whether it is frozen, and waiting for either to change."""

from __future__ import annotations

import os
import select
import time
from errno import ENODEV

from zonectl.cgroups import files
from zonectl.errors import SyscallError


def is_set(directory: str, key: str) -> bool:
    """Whether cgroup.events of the group at `directory` says `key 1`; a group that is not there says nothing.

    Raises:
        SyscallError: it cannot be read.

    """
    text = files.read(f"{directory}/cgroup.events")
    return text is not None and files.table(text).get(key) == 1


def wait(directory: str, *, key: str, value: int, timeout_s: float) -> bool:
    """Wait until cgroup.events of the group at `directory` says `key value`; False where time is up first.

    A group that is gone has no processes and is not frozen. The kernel wakes poll(2) with POLLPRI, at most every
    10 ms for one group (cgroup_file_notify in kernel/cgroup/cgroup.c).

    Raises:
        SyscallError: the file cannot be opened or read.

    """
    try:
        fd = os.open(f"{directory}/cgroup.events", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return value == 0
    except OSError as error:
        raise SyscallError("open", error.errno or 0, f"{directory}/cgroup.events") from error
    try:
        return _wait(fd, key=key, value=value, deadline=time.monotonic() + timeout_s)
    except OSError as error:
        if error.errno == ENODEV:
            return value == 0
        raise SyscallError("poll", error.errno or 0, f"{directory}/cgroup.events") from error
    finally:
        os.close(fd)


def _wait(fd: int, *, key: str, value: int, deadline: float) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLPRI)
    look_s = 0.001  # and twice that each time: sooner than a notice that the kernel holds back for 10 ms
    # Read before each poll: a change between the two wakes the poll, since reading marks what was seen.
    while files.table(files.read_open(fd)).get(key) != value:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            return False
        poll.poll(min(left_s, look_s) * 1000)
        look_s *= 2
    return True
