"""The loop that copies the guest's output until its end mark has come on every stream."""

from __future__ import annotations

import selectors
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.vm.lane.errors import BootError, DeadlineError, LaneError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.vm.lane.channel import Channel, Console, Output


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait, on the monotonic clock: for the guest to come up, and for all of it."""

    boot_until_s: float
    until_s: float
    timeout_s: float

    def left_s(self, *, is_up: bool) -> float | None:
        """Seconds to wait now; None for a guest that is not up in its time. Raises DeadlineError."""
        now = time.monotonic()
        if now >= self.until_s:
            raise DeadlineError(self.timeout_s)
        until = self.until_s if is_up else min(self.until_s, self.boot_until_s)
        return until - now if until > now else None


def relay(console: Console, outputs: Sequence[Output], patience: Patience) -> int:
    """Copy output to its end; return the command's exit status.

    Raises BootError, LaneError and DeadlineError, with a note of what the console said last.
    """
    try:
        _pump(console, outputs, patience)
        return _result(console, outputs)
    except LaneError as error:
        error.add_note(console.tail)
        raise


def _pump(console: Console, outputs: Sequence[Output], patience: Patience) -> None:
    """Copy until every stream has ended, every channel is closed, or the time to boot is over."""
    channels: list[Channel] = [console, *outputs]
    waiting = {channel.fileno(): channel for channel in channels}
    with selectors.DefaultSelector() as selector:
        for fd in waiting:
            selector.register(fd, selectors.EVENT_READ)
        # A machine that dies closes every channel: the console is read to its end before we complain.
        while waiting and _status(outputs) is None:
            left_s = patience.left_s(is_up=console.is_up)
            if left_s is None:
                return
            for key, _ in selector.select(left_s):
                if not waiting[key.fd].pump():
                    selector.unregister(key.fd)
                    del waiting[key.fd]


def _status(outputs: Sequence[Output]) -> int | None:
    """The exit status, once every stream has ended with it."""
    statuses = [output.status for output in outputs]
    return None if None in statuses else statuses[0]


def _result(console: Console, outputs: Sequence[Output]) -> int:
    if (status := _status(outputs)) is not None:
        return status
    if console.is_up:
        raise LaneError("the guest ended before the command")
    raise BootError("the guest did not come up")
