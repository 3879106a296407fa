"""Locks between processes: flock(2) on a file of the run root that says who holds it.

The kernel drops the lock with its holder, so that nothing is left to clean up after a kill.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from zonectl.errors import Busy, StoreError
from zonectl.store.paths import FOLDER_MODE

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIRST_PAUSE_S = 0.0005
_LONGEST_PAUSE_S = 0.02
_NOTE_BYTES = 96
"""Every note has the same length: ext4 takes longer to cut a file than for all else that a lock does."""

UNKNOWN_HOLDER = "another command"
"""Who holds a lock that nobody alive has signed: a child of a killed command, until it sees that end."""


@contextmanager
def lock(path: str, *, verb: str, zone: str, timeout_s: float, shared: bool = False) -> Iterator[None]:
    """Hold the lock file `path` for `verb` on `zone`; exclusively, unless `shared`.

    The holder may unlink the file (delete does): who then gets the old file's lock tries again on the new.
    The descriptor is close-on-exec, but a forked child shares the lock until it closes or ends.

    Raises:
        Busy: somebody held it for `timeout_s`, by the monotonic clock; names the holder.
        StoreError: the file cannot be made.

    """
    fd = _acquire(path, shared=shared, deadline_s=time.monotonic() + timeout_s, zone=zone)
    try:
        # A reader who comes while others read leaves their note: it may be gone before they are.
        if not shared or _holder(fd) == UNKNOWN_HOLDER:
            _sign(fd, verb)
        yield
    finally:
        if not shared:
            _write(fd, b"")
        os.close(fd)


def is_held(path: str) -> bool:
    """Whether somebody holds the lock file `path`; without making it, and without waiting."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        return not _try(fd, shared=True)
    finally:
        os.close(fd)


def _acquire(path: str, *, shared: bool, deadline_s: float, zone: str) -> int:
    pause_s = _FIRST_PAUSE_S
    while True:
        fd = _open(path)
        if _try(fd, shared=shared):
            if _is_current(fd, path):
                return fd
            os.close(fd)
            continue
        holder = _holder(fd)
        os.close(fd)
        if time.monotonic() >= deadline_s:
            raise Busy(zone, holder=holder)
        # flock has no timeout of its own, and an alarm would be the whole process's.
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _open(path: str) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        while True:
            try:
                return os.open(path, flags, 0o600)
            except FileNotFoundError:
                os.makedirs(os.path.dirname(path), FOLDER_MODE, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot lock {path}: {error.strerror}") from error


def _try(fd: int, *, shared: bool) -> bool:
    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_current(fd: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _sign(fd: int, verb: str) -> None:
    text = json.dumps({"verb": verb, "pid": os.getpid()}).encode()
    _write(fd, text)


def _write(fd: int, note: bytes) -> None:
    # The note is for whoever waits. On a full disk, where stop and delete are what helps, the lock does without.
    with suppress(OSError):
        os.pwrite(fd, note.ljust(_NOTE_BYTES), 0)


def _holder(fd: int) -> str:
    try:
        note = json.loads(os.pread(fd, 4096, 0))
        verb, pid = str(note["verb"]), int(note["pid"])
    except (ValueError, KeyError, TypeError):
        # Between flock and the note, or between the note's end and the unlock.
        return UNKNOWN_HOLDER
    # Readers that have ended leave their note to those that go on.
    return f"{verb} (pid {pid})" if os.path.exists(f"/proc/{pid}") else UNKNOWN_HOLDER
