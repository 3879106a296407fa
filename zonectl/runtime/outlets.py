"""The FIFOs through which a zone's output goes to the logger.

The zone's side holds them read-write, so that no reader's end costs it SIGPIPE or data. They belong to the zone's
root and everyone may write: a program that opens /dev/stdout by name (nginx does) needs that, measured; nobody but
the host's root can reach them by a path, since their folder is 0700.
"""

from __future__ import annotations

import fcntl
import os
import stat
import struct
import termios
from typing import TYPE_CHECKING

from zonectl.errors import StoreError

if TYPE_CHECKING:
    from zonectl.model.record import ZoneRecord
    from zonectl.runtime.context import Context

STREAMS = ("out", "err")
_MODE = 0o622


def open_both(context: Context, record: ZoneRecord) -> tuple[int, int]:
    """Descriptors of the zone's FIFOs `out` and `err`, made when missing; the caller owns them.

    Raises:
        StoreError: one cannot be made.

    """
    owner = record.ids.first if record.ids else 0
    folder = context.paths.run_zone_dir(record.name)
    out, err = (_open(f"{folder}/{name}", owner) for name in STREAMS)
    return out, err


def is_empty(context: Context, name: str) -> bool:
    """Whether all that the zone has written is in its log: nothing is left in its FIFOs, or nobody will read it.

    The logger takes bytes out of a pipe once they are in the log (splice(2)), under the lock that FIONREAD takes.
    """
    folder = context.paths.run_zone_dir(name)
    return not any(_waiting_bytes(f"{folder}/{stream}") for stream in STREAMS)


def _waiting_bytes(path: str) -> int:
    """What is in a FIFO (ioctl_tty(2)); one that nobody holds open has lost it."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return 0
    try:
        (count,) = struct.unpack("=i", fcntl.ioctl(fd, termios.FIONREAD, bytes(4)))
        return int(count)
    except OSError:  # it is something else
        return 0
    finally:
        os.close(fd)


def _open(path: str, owner: int) -> int:
    try:
        if not os.path.lexists(path):
            os.mkfifo(path, 0o600)
        fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        if not stat.S_ISFIFO(os.fstat(fd).st_mode):
            os.close(fd)
            msg = f"{path} is not a FIFO"
            raise StoreError(msg)
        os.fchown(fd, owner, owner)
        os.fchmod(fd, _MODE)
        os.set_blocking(fd, True)
    except OSError as error:
        raise StoreError(f"cannot make {path}: {error.strerror}") from error
    return fd
