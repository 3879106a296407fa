"""Moments, time spans and exits as people read them."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zonectl.model.record import LastExit

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def moment(epoch_s: float) -> str:
    """A moment in local time: 2026-01-31 12:00:05."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(epoch_s))


def span(seconds: float) -> str:
    """A time span by its two largest units: 5s, 3m12s, 2h05m, 4d03h."""
    whole = max(0, int(seconds))
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m{whole % _MINUTE:02}s"
    if whole < _DAY:
        return f"{whole // _HOUR}h{whole % _HOUR // _MINUTE:02}m"
    return f"{whole // _DAY}d{whole % _DAY // _HOUR:02}h"


def exit_words(last: LastExit | None) -> str:
    """How a zone ended: "status 1", "SIGKILL, stopped", "unknown"; empty if it never did."""
    if last is None:
        return ""
    if last.signal is not None:
        words = _signal_name(last.signal)
    else:
        words = "unknown" if last.status is None else f"status {last.status}"
    return f"{words}, stopped" if last.by_user else words


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
