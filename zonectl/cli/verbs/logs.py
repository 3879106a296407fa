"""logs: what a zone has written."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from zonectl.cli import values
from zonectl.cli.moments import moment
from zonectl.errors import NoSuchZone, ZonectlError
from zonectl.model.escape import escape_bytes
from zonectl.store import logs
from zonectl.store.logs import Stream

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable
    from typing import TextIO

    from zonectl.cli.setting import Setting
    from zonectl.runtime.context import Context
    from zonectl.store.logs import LogLine

_WRITTEN_S = 10.0
"""How long the logger may take for what is left of a zone that has ended: two FIFOs' worth."""

_PAUSE_S = 0.005

DESCRIPTION = """\
Show what a zone has written to its standard output and error, which go to those of this command. On a terminal control
characters are shown as \\xNN; into a pipe or a file everything goes as it was written.
"""
EXAMPLES = """\
zonectl logs web
zonectl logs -f --tail 10 web
zonectl logs --since 10min -t web 2>&1 | less
"""


def arguments(parser: ArgumentParser) -> None:
    """Declare what the verb takes."""
    parser.add_argument(
        "-f", "--follow", action="store_true", help="go on with what comes, until the zone ends"
    )
    parser.add_argument(
        "--since",
        metavar="WHEN",
        type=values.when,
        help="from then on: 10min (ago), 2026-01-31T12:00, or @SECONDS since the epoch",
    )
    parser.add_argument("--tail", metavar="N", type=values.count, help="the last N lines of it")
    parser.add_argument("-t", "--timestamps", action="store_true", help="with the time of each line")
    parser.add_argument("zone", metavar="ZONE", type=values.zone, help="the name of a zone")


def run(options: Namespace, setting: Setting) -> int:
    """Show the lines that are asked for."""
    context = setting.context()
    paths = setting.paths
    if not os.path.isdir(paths.zone_dir(options.zone)):
        raise NoSuchZone(options.zone)
    printer = Printer(timestamps=options.timestamps)
    ended = _watch(context, options.zone)
    if not options.follow:
        _let_write(context, options.zone, ended)
        for line in logs.read(paths, options.zone, since=options.since, tail=options.tail):
            printer.put(line)
        return 0

    def written() -> bool:
        over = ended()
        if over:
            _let_write(context, options.zone, ended)
        return over

    for each in logs.follow(paths, options.zone, since=options.since, tail=options.tail, ended=written):
        if each is None:
            printer.flush()
        else:
            printer.put(each)
    return 0


def _let_write(context: Context, zone: str, ended: Callable[[], bool]) -> None:
    """Give the logger, where the zone has ended, the time to write what it has left behind."""
    from zonectl.runtime.outlets import is_empty

    deadline = time.monotonic() + _WRITTEN_S
    while not is_empty(context, zone) and ended() and time.monotonic() < deadline:
        time.sleep(_PAUSE_S)


def _watch(context: Context, zone: str) -> Callable[[], bool]:
    """Whether nothing more will be written."""
    from zonectl.runtime.status import alive

    def ended() -> bool:
        try:
            return alive(context, zone) is None
        except ZonectlError:
            return True

    return ended


class Printer:
    """Writes lines to the stream that they came from; what was written to one is out before the other is written to."""

    def __init__(self, *, timestamps: bool) -> None:
        self._timestamps = timestamps
        self._last: Stream | None = None

    def put(self, line: LogLine) -> None:
        """Write a line."""
        if self._last not in {None, line.stream}:
            self.flush()
        self._last = line.stream
        stream = self._stream(line.stream)
        if stream is None:
            return
        head = f"{moment(line.time)} " if self._timestamps else ""
        if stream.isatty():
            end = "\n" if line.ended or self._timestamps else ""
            stream.write(head + escape_bytes(line.text) + end)
            return
        stream.flush()
        stream.buffer.write(head.encode() + line.text + (b"\n" if line.ended else b""))

    def flush(self) -> None:
        """Put out what was written."""
        for each in Stream:
            stream = self._stream(each)
            if stream is not None:
                stream.flush()

    def _stream(self, which: Stream) -> TextIO | None:
        return sys.stderr if which is Stream.ERR else sys.stdout
