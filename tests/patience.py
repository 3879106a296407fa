"""Waiting for what comes to pass by itself."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_Found = TypeVar("_Found")
_PAUSE_S = 0.005


def until(condition: Callable[[], _Found], *, timeout_s: float = 60.0, what: str = "") -> _Found:
    """What `condition` gives as soon as it is true; fails after the timeout, which is generous for a busy host."""
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, what or "it does not come to pass"
        time.sleep(_PAUSE_S)
    return found


def eventually(condition: Callable[[], bool], *, timeout_s: float = 20.0) -> bool:
    """Whether `condition` comes true in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE_S)
    return True
