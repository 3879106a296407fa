"""zoned's own log: RUN/zoned.log, a line for what nobody is there to be told."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zonectl.store.paths import Paths

MAX_BYTES = 1 << 20


def path(paths: Paths) -> str:
    """Where it is."""
    return f"{paths.run_dir}/zoned.log"


def complain(paths: Paths, text: str) -> None:
    """Append `text`, with the time and our pid; a log that cannot be written is no reason to stop.

    When it is longer than a mebibyte it becomes zoned.log.old.
    """
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    with suppress(OSError):
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(path(paths), flags, 0o600)
        try:
            os.write(fd, f"{stamp} [{os.getpid()}] {text.rstrip()}\n".encode(errors="backslashreplace"))
            if os.fstat(fd).st_size > MAX_BYTES:
                os.replace(path(paths), f"{path(paths)}.old")
        finally:
            os.close(fd)
