"""Writing a zone's log: from its FIFOs into segments (the format is in `zonectl.store.logs`).

Bytes go from FIFO to file by splice(2), which takes out of the pipe exactly what it has put into the file: a logger
that is killed has neither lost nor doubled a byte. read(2) then write(2) would. The file must not be O_APPEND (EINVAL).
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from zonectl.errors import StoreError
from zonectl.store import logs
from zonectl.store.logs import RECORD, Record, Stream, segment_path, segments

if TYPE_CHECKING:
    from collections.abc import Callable

TURN_BYTES = 64 << 10
"""How much of one FIFO is written before the next one's turn: no zone waits long for another's flood."""

LAST_BYTES = 1 << 20
"""How much is taken of a zone that has ended; more than its FIFOs hold (F_SETPIPE_SZ)."""

PIPE_BYTES = 256 << 10
"""How much a zone may write ahead of the logger before it blocks; used only while it is filled."""

_FULL = frozenset((errno.ENOSPC, errno.EDQUOT))
_COMPLAINT_EVERY_S = 60.0


class Segment:
    """The segment that is written to; closed by `close`."""

    def __init__(self, folder: str, number: int) -> None:
        self.number = number
        self._folder = folder
        # The index first: a .log without .idx would have no times.
        self._index = self._opened("idx")
        self._log = self._opened("log")
        self.bytes = os.lseek(self._log, 0, os.SEEK_END)
        end = os.lseek(self._index, 0, os.SEEK_END)
        self.index_bytes = end - end % RECORD.size  # a torn record is written over

    def take(self, fifo: int, stream: Stream, count: int) -> int:
        """Move at most `count` bytes from `fifo` to the segment: how many they were, 0 if no one writes any more.

        Raises:
            BlockingIOError: nothing is there.
            OSError: the file cannot be written.

        """
        record = Record(self.bytes, time.time_ns() // 1000, stream)
        os.pwrite(self._index, record.pack(), self.index_bytes)
        moved = os.splice(fifo, self._log, count, offset_dst=self.bytes, flags=os.SPLICE_F_NONBLOCK)
        if moved:
            self.bytes += moved
            self.index_bytes += RECORD.size
        return moved

    def close(self) -> None:
        """Close its files."""
        os.close(self._log)
        os.close(self._index)

    def _opened(self, suffix: str) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        return os.open(segment_path(self._folder, self.number, suffix), flags, 0o600)


class ZoneLog:
    """The log of one zone: opened when there is something to write, rotated by size.

    `complain` is told, at most once a minute, what cannot be written.
    """

    def __init__(
        self,
        folder: str,
        *,
        complain: Callable[[str], None],
        segment_bytes: int = logs.SEGMENT_BYTES,
        keep: int = logs.SEGMENTS,
    ) -> None:
        self._folder = folder
        self._complain = complain
        self._segment_bytes = segment_bytes
        self._keep = keep
        self._segment: Segment | None = None
        self._lost = 0
        self._complained_at = -_COMPLAINT_EVERY_S

    def take(self, fifo: int, stream: Stream) -> int:
        """Move some of what is in `fifo` to the log: how many bytes, 0 if there is nothing or no writer.

        What cannot be written (no space, after the oldest segment was given up for it) is thrown away: a service
        must not stop because its log is full.
        """
        try:
            return self._take(fifo, stream)
        except BlockingIOError:
            return 0
        except OSError as error:
            if error.errno in _FULL and self._give_up_oldest():
                return self.take(fifo, stream)
            return self._throw_away(fifo, os.strerror(error.errno or 0))
        except StoreError as error:
            return self._throw_away(fifo, error.message)

    def close(self) -> None:
        """Close its files."""
        if self._segment:
            self._segment.close()
            self._segment = None

    def _take(self, fifo: int, stream: Stream) -> int:
        segment = self._current()
        return segment.take(fifo, stream, min(TURN_BYTES, self._segment_bytes - segment.bytes))

    def _current(self) -> Segment:
        segment = self._segment
        if segment and segment.bytes < self._segment_bytes and segment.index_bytes < logs.INDEX_BYTES:
            return segment
        if segment is None:
            with suppress(FileExistsError):
                os.mkdir(self._folder, 0o700)
            self._segment = Segment(self._folder, max(segments(self._folder), default=0))
        else:
            segment.close()
            self._segment = None
            self._segment = Segment(self._folder, segment.number + 1)
        self._remove_oldest(self._keep)
        return self._current()

    def _give_up_oldest(self) -> bool:
        numbers = segments(self._folder)
        self._remove_oldest(max(1, len(numbers) - 1))
        return len(segments(self._folder)) < len(numbers)

    def _remove_oldest(self, keep: int) -> None:
        for number in segments(self._folder)[:-keep]:
            for suffix in ("log", "idx"):
                with suppress(FileNotFoundError):
                    os.unlink(segment_path(self._folder, number, suffix))

    def _throw_away(self, fifo: int, why: str) -> int:
        try:
            lost = len(os.read(fifo, TURN_BYTES))
        except BlockingIOError:
            return 0
        self._lost += lost
        if time.monotonic() - self._complained_at >= _COMPLAINT_EVERY_S:
            self._complained_at = time.monotonic()
            self._complain(f"{self._lost} bytes of output lost: {why}")
        return lost


class Source:
    """A zone's FIFOs, open for reading, and the log they go to; `key` is zoned's number for this run of the zone."""

    def __init__(self, key: int, log: ZoneLog, fifos: tuple[int, int]) -> None:
        self.key = key
        self.log = log
        self.fifos = dict(zip(fifos, Stream, strict=True))
        self.silent: set[int] = set()
        for fifo in fifos:
            # The user's share of pipe memory may be used up; then it stays as it is.
            with suppress(OSError):
                fcntl.fcntl(fifo, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def take(self, fifo: int) -> int:
        """Move some of what is in `fifo` to the log."""
        return self.log.take(fifo, self.fifos[fifo])

    def drain(self) -> None:
        """Move all that is there, of a zone that has ended; no more than its FIFOs can hold, if it has not."""
        for fifo in self.fifos:
            left = LAST_BYTES
            while left > 0 and (moved := self.take(fifo)):
                left -= moved

    def close(self) -> None:
        """Close the FIFOs and the log."""
        self.log.close()
        for fifo in self.fifos:
            os.close(fifo)
