"""Waiting for what comes to pass by itself."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_Found = TypeVar("_Found")


def until(condition: Callable[[], _Found], *, timeout_s: float = 60.0, what: str = "") -> _Found:
    """What `condition` gives as soon as it is true; fails after the timeout, which is generous for a busy host."""
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, what or "it does not come to pass"
        time.sleep(0.02)
    return found
