"""Protected memory of an instance: the sum of its zones', so that memory.min and memory.low of a zone count.

The kernel shares a group's protection out among its children; under a parent without any, a zone would have none
(effective_protection in mm/page_counter.c). A parent with more than the sum would protect zones that did not ask
for it, where cgroup2 is mounted with memory_recursiveprot, as systemd does.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from zonectl.cgroups import files, walk
from zonectl.cgroups.memory import PROTECTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator


def share(directory: str, file: str) -> None:
    """Set the group's `file` to the sum of its children's, which two zones that start at once cannot get wrong.

    Raises:
        SyscallError: the file cannot be written.
        OSError: the group is not there.

    """
    with _locked(directory) as fd:
        texts = [files.read(f"{name}/{file}", dir_fd=fd) for name in walk.names(fd)]
        files.write(f"{directory}/{file}", total(texts))


def lower(directory: str) -> None:
    """Take the protection of zones that are gone back; a group that has none, or is gone, is left alone."""
    for file in PROTECTIONS:
        if (files.read(f"{directory}/{file}") or "0\n") != "0\n":
            share(directory, file)


def total(texts: list[str | None]) -> str:
    """The sum of what memory.low files say; `max` is more than any number, and no file is nothing."""
    values = [text.strip() for text in texts if text is not None]
    return "max" if "max" in values else str(sum(int(value) for value in values))


@contextmanager
def _locked(directory: str) -> Iterator[int]:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield fd
    finally:
        os.close(fd)
