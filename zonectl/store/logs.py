"""What a zone has written: the format of its log on disk, and reading it.

The log is a row of segments, NNNNNNNN.log and NNNNNNNN.idx in the zone's log folder; the highest number is written to.
A .log holds the zone's bytes verbatim, standard output and error as they came. Its .idx says whose and when: records
of 16 bytes, `offset` and `time_us << 1 | stream`, both 64 bits little-endian; a record stands for the bytes from its
offset to that of the next. The record is written *before* its bytes. A logger that is killed in between leaves a
record of no bytes, which the next one, at the same offset, replaces: nothing is lost, doubled or ascribed to the wrong
stream. Segments are made and removed, never renamed: no kill can part a .log from its .idx.
"""

from __future__ import annotations

import os
import re
import struct
import time
from collections import deque
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from zonectl.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from zonectl.store.paths import Paths

SEGMENT_BYTES = 10 << 20
SEGMENTS = 3
INDEX_BYTES = 2 << 20
"""A segment also ends when its index is this long: a zone that writes byte by byte must not fill the disk with it."""

LONGEST_LINE_BYTES = 64 << 10
"""A longer line is told in pieces."""

RECORD = struct.Struct("<QQ")
_SEGMENT = re.compile(r"([0-9]{8})\.log\Z")
_READ_BYTES = 1 << 20
_MICROSECOND_S = 1e-6


class Stream(Enum):
    """Which of a zone's streams."""

    OUT = 0
    ERR = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One line without its newline, verbatim: escape it before it reaches a terminal.

    `time` is when its first byte arrived, in seconds since the epoch. `ended` is False for a piece of a line
    whose newline has not come yet, or that is longer than LONGEST_LINE_BYTES.
    """

    time: float
    stream: Stream
    text: bytes
    ended: bool = True


@dataclass(frozen=True, slots=True)
class Record:
    """From `offset` on, the segment holds what came from `stream` at `time_us` (microseconds since the epoch)."""

    offset: int
    time_us: int
    stream: Stream

    def pack(self) -> bytes:
        """The record as it stands in the index."""
        return RECORD.pack(self.offset, self.time_us << 1 | self.stream.value)


@dataclass(frozen=True, slots=True)
class Chunk:
    """What arrived at once."""

    record: Record
    data: bytes


def unpack_index(data: bytes) -> list[Record]:
    """The whole records in `data`; a torn last one is left out."""
    whole = data[: len(data) - len(data) % RECORD.size]
    return [Record(offset, stamp >> 1, Stream(stamp & 1)) for offset, stamp in RECORD.iter_unpack(whole)]


def segment_path(folder: str, number: int, suffix: str = "log") -> str:
    """The path of a segment's `log` or `idx`."""
    return f"{folder}/{number:08d}.{suffix}"


def segments(folder: str) -> list[int]:
    """The numbers of the segments in `folder`, ascending.

    Raises:
        StoreError: the folder cannot be read.

    """
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"cannot read {folder}: {error.strerror}") from error
    return sorted(int(match[1]) for match in map(_SEGMENT.match, names) if match)


class Lines:
    """Puts chunks together to lines, each stream by itself."""

    def __init__(self) -> None:
        self._rest: dict[Stream, tuple[float, bytes]] = {}

    def feed(self, chunk: Chunk) -> Iterator[LogLine]:
        """The lines that end in `chunk`."""
        stream = chunk.record.stream
        now = chunk.record.time_us * _MICROSECOND_S
        when, rest = self._rest.pop(stream, (now, b""))
        *lines, rest = (rest + chunk.data).split(b"\n")
        for line in lines:
            yield from _pieces(line, when, stream)
            when = now
        while len(rest) > LONGEST_LINE_BYTES:
            yield LogLine(time=when, stream=stream, text=rest[:LONGEST_LINE_BYTES], ended=False)
            rest = rest[LONGEST_LINE_BYTES:]
        if rest:
            self._rest[stream] = (when, rest)

    def flush(self) -> Iterator[LogLine]:
        """What has no newline yet, the older first."""
        rests, self._rest = self._rest, {}
        for stream, (when, text) in sorted(rests.items(), key=lambda item: item[1][0]):
            yield LogLine(time=when, stream=stream, text=text, ended=False)


def _pieces(line: bytes, when: float, stream: Stream) -> Iterator[LogLine]:
    while len(line) > LONGEST_LINE_BYTES:
        yield LogLine(time=when, stream=stream, text=line[:LONGEST_LINE_BYTES], ended=False)
        line = line[LONGEST_LINE_BYTES:]
    yield LogLine(time=when, stream=stream, text=line)


class SegmentReader:
    """Reads one segment, and what is added to it later; its files stay open though they be removed."""

    def __init__(self, folder: str, number: int) -> None:
        self.number = number
        self._stack = ExitStack()
        self._log = self._opened(segment_path(folder, number))
        self._index = self._opened(segment_path(folder, number, "idx"))
        self._records: deque[Record] = deque()
        self._index_bytes = 0
        self._offset = 0

    def close(self) -> None:
        """Close its files."""
        self._stack.close()

    def chunks(self) -> Iterator[Chunk]:
        """What has come since the last call."""
        # The size first: every byte below it has its record in the index already.
        size = os.fstat(self._log).st_size
        self._read_index()
        while self._offset < size:
            record, end = self._current(size)
            data = os.pread(self._log, min(end - self._offset, _READ_BYTES), self._offset)
            if not data:
                return
            self._offset += len(data)
            yield Chunk(record, data)

    def _current(self, size: int) -> tuple[Record, int]:
        while len(self._records) > 1 and self._records[1].offset <= self._offset:
            self._records.popleft()
        if not self._records:
            # The index was lost, or could not be written: better told as output than not at all.
            return Record(0, os.fstat(self._log).st_mtime_ns // 1000, Stream.OUT), size
        end = self._records[1].offset if len(self._records) > 1 else size
        return self._records[0], min(end, size)

    def _read_index(self) -> None:
        while data := os.pread(self._index, _READ_BYTES, self._index_bytes):
            records = unpack_index(data)
            self._records.extend(records)
            self._index_bytes += len(records) * RECORD.size
            if len(data) < _READ_BYTES:
                return

    def _opened(self, path: str) -> int:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except BaseException:
            self._stack.close()
            raise
        self._stack.callback(os.close, fd)
        return fd


def read(
    paths: Paths, name: str, *, since: float | None = None, tail: int | None = None
) -> Iterator[LogLine]:
    """The zone's lines, oldest first: those from `since` on (seconds since the epoch), the last `tail` of them.

    Raises:
        StoreError: the log cannot be read.

    """
    folder = paths.log_dir(name)
    numbers = segments(folder)
    if tail is None:
        yield from _since(_lines(folder, numbers), since)
        return
    last: deque[LogLine] = deque(maxlen=tail + 1)
    for first in range(len(numbers) - 1, -1, -1):
        last.clear()
        last.extend(_since(_lines(folder, numbers[first:]), since))
        # One line more than asked for: the oldest one may have lost its beginning with an older segment.
        if len(last) > tail:
            break
    yield from list(last)[max(0, len(last) - tail) :]


def follow(
    paths: Paths,
    name: str,
    *,
    since: float | None = None,
    tail: int | None = None,
    ended: Callable[[], bool] = lambda: False,
    pause_s: float = 0.1,
) -> Iterator[LogLine | None]:
    """As `read`, then each line as it comes, until `ended` says that no more will.

    None is yielded at each pause, when everything there is has been told: the moment to flush.

    Raises:
        StoreError: the log cannot be read.

    """
    follower = _Follower(paths.log_dir(name))
    try:
        yield from _shortened(list(_since(follower.turn(), since)), tail)
        yield None
        while not ended():
            time.sleep(pause_s)
            yield from follower.turn()
            yield None
        yield from follower.turn()
        yield from follower.flush()
    finally:
        follower.close()


def _shortened(lines: list[LogLine], tail: int | None) -> list[LogLine]:
    return lines if tail is None else lines[max(0, len(lines) - tail) :]


def _since(lines: Iterable[LogLine], since: float | None) -> Iterator[LogLine]:
    return (line for line in lines if since is None or line.time >= since)


def _lines(folder: str, numbers: list[int]) -> Iterator[LogLine]:
    lines = Lines()
    for number in numbers:
        # It may just have been removed.
        with suppress(FileNotFoundError):
            reader = SegmentReader(folder, number)
            try:
                for chunk in reader.chunks():
                    yield from lines.feed(chunk)
            finally:
                reader.close()
    yield from lines.flush()


class _Follower:
    """Reads on from segment to segment."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._number = -1
        self._reader: SegmentReader | None = None
        self._lines = Lines()

    def turn(self) -> Iterator[LogLine]:
        while True:
            # Listed before reading: when a later segment exists, this one has got its last byte.
            later = [number for number in segments(self._folder) if number > self._number]
            if self._reader:
                for chunk in self._reader.chunks():
                    yield from self._lines.feed(chunk)
            if not later:
                return
            self._advance(later[0])

    def flush(self) -> Iterator[LogLine]:
        return self._lines.flush()

    def close(self) -> None:
        if self._reader:
            self._reader.close()
            self._reader = None

    def _advance(self, number: int) -> None:
        self.close()
        self._number = number
        # It may just have been removed.
        with suppress(FileNotFoundError):
            self._reader = SegmentReader(self._folder, number)
