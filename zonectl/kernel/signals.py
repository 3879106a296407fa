"""Signals that wait while something must not be interrupted: sigprocmask(2)."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@contextmanager
def held_back(numbers: Iterable[int] = ()) -> Iterator[None]:
    """Block the signals `numbers`, all of them where none is named; what came meanwhile is heard when the block ends.

    For the birth of a child and the note of it: an interruption between the two would leave a process that nobody
    knows of. The child begins with them blocked.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        # A handler may raise here, of a signal that came just before.
        signal.pthread_sigmask(signal.SIG_BLOCK, tuple(numbers) or signal.valid_signals())
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
