"""A bar that shows on a terminal's last line how far something has come; elsewhere, nothing."""

from __future__ import annotations

import os
import shutil
import sys
import time
from typing import Final

_NARROWEST: Final = 10
_WIDEST: Final = 40
_EVERY_S: Final = 0.1
_ERASE: Final = "\r\x1b[K"
_MINUTE: Final = 60


def draw(what: str, done: float, left_s: float | None, *, columns: int) -> str:
    """The bar as one line of at most `columns`: how much is done, of what, and the time that is left."""
    done = min(max(done, 0.0), 1.0)
    left = "" if left_s is None else f", {clock(left_s)} left"
    words = f" {done * 100:3.0f} %  {what}{left}"
    room = min(columns - len(words) - 3, _WIDEST)
    if room < _NARROWEST:
        return words.strip()[: max(columns - 1, 0)].rstrip()
    filled = round(done * room)
    return f"[{'#' * filled}{'.' * (room - filled)}]{words}"


def clock(seconds: float) -> str:
    """A time span as minutes and seconds."""
    whole = max(0, round(seconds))
    return f"{whole // _MINUTE}:{whole % _MINUTE:02d}"


class Bar:
    """The bar on standard error. Drawn at most ten times a second, and gone when it is closed."""

    def __init__(self) -> None:
        self._shown = sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._drawn_at = -_EVERY_S
        self._is_there = False

    def show(self, what: str, done: float, left_s: float | None) -> None:
        """Draw it, if there is a terminal, and the last time is long enough ago."""
        now = time.monotonic()
        if not self._shown or now - self._drawn_at < _EVERY_S:
            return
        self._drawn_at, self._is_there = now, True
        columns = shutil.get_terminal_size().columns
        sys.stderr.write(_ERASE + draw(what, done, left_s, columns=columns))
        sys.stderr.flush()

    def close(self) -> None:
        """Erase it."""
        if self._is_there:
            self._is_there = False
            sys.stderr.write(_ERASE)
            sys.stderr.flush()
