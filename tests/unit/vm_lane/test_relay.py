from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

import pytest

from tests.vm.lane.channel import Console, Output
from tests.vm.lane.errors import BootError, DeadlineError, LaneError
from tests.vm.lane.relay import Patience, relay

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "c0ffee"
END = b"\x01c0ffee"


class Guest:
    """The guest's ends of the console and of two streams, and what the host makes of the other ends."""

    def __init__(self, null_fd: int) -> None:
        self.pairs = [socket.socketpair() for _ in range(3)]
        self.console, self.out, self.err = (there for _, there in self.pairs)
        console, *streams = (here for here, _ in self.pairs)
        self.host_console = Console(console, None)
        self.outputs = [Output(stream, null_fd, TOKEN) for stream in streams]

    def relay(self, *, boot_s: float = 5.0, timeout_s: float = 5.0) -> int:
        now = time.monotonic()
        patience = Patience(boot_until_s=now + boot_s, until_s=now + timeout_s, timeout_s=timeout_s)
        return relay(self.host_console, self.outputs, patience)

    def die(self) -> None:
        for _, there in self.pairs:
            there.close()


@pytest.fixture
def guest() -> Iterator[Guest]:
    null_fd = os.open(os.devnull, os.O_WRONLY)
    guest = Guest(null_fd)
    yield guest
    for here, there in guest.pairs:
        here.close()
        there.close()
    os.close(null_fd)


def test_status_comes_when_both_streams_have_ended(guest: Guest) -> None:
    guest.out.sendall(b"out" + END + b"003")
    guest.err.sendall(END + b"003")
    assert guest.relay() == 3


def test_machine_that_ends_before_it_is_up_may_be_tried_again(guest: Guest) -> None:
    guest.console.sendall(b"Kernel panic")
    guest.die()
    with pytest.raises(BootError) as caught:
        guest.relay()
    assert caught.value.__notes__ == ["Kernel panic"]


def test_machine_that_ends_while_the_command_runs_is_not_tried_again(guest: Guest) -> None:
    guest.console.sendall(b"lane: up")
    guest.out.sendall(b"half")
    guest.die()
    with pytest.raises(LaneError) as caught:
        guest.relay()
    assert not isinstance(caught.value, BootError)


def test_one_stream_that_ends_is_not_enough(guest: Guest) -> None:
    guest.console.sendall(b"lane: up")
    guest.out.sendall(END + b"000")
    guest.die()
    with pytest.raises(LaneError):
        guest.relay()


def test_guest_that_is_silent_may_be_tried_again(guest: Guest) -> None:
    with pytest.raises(BootError):
        guest.relay(boot_s=0.01)


def test_command_that_does_not_end_meets_the_deadline(guest: Guest) -> None:
    guest.console.sendall(b"lane: up")
    # Read before, or this process might be held up for all of its time to boot.
    assert guest.host_console.pump()
    with pytest.raises(DeadlineError) as caught:
        guest.relay(boot_s=0.01, timeout_s=0.05)
    assert caught.value.timeout_s == 0.05
