"""A probe at the other end of two descriptors: pipes, a terminal, a virtual machine's console.

The protocol stands in `runner`. The first thing that goes wrong in the conversation (nothing comes in time, the probe
has ended, what comes is not its language) ends it: an answer that comes later would be taken for the next one.
"""

from __future__ import annotations

import os
import re
import select
import time
from typing import TYPE_CHECKING, Final

from zonectl.bench.runner import PROTOCOL_VERSION
from zonectl.errors import BenchError

if TYPE_CHECKING:
    from zonectl.bench.runner import Place

TIMEOUT_S: Final = 120.0  # for a sample: a slow disk syncs a sample in seconds
GREETING_S: Final = 30.0  # an emulated machine has booted by then
MOST_LINE_BYTES: Final = 65536  # of the probe: probe.h
CHUNK_BYTES: Final = 65536
SHOWN: Final = 80

GREETING: Final = re.compile(rb"zonectl-probe (\d{1,9})((?: [a-z0-9-]+)*)")
TIMED: Final = re.compile(rb"ok ([0-9]{1,19})")
REFUSED: Final = re.compile(rb"no ([ -~]+)")


def connect(
    requests: int, answers: int, *, place: Place, greeting_s: float = GREETING_S, timeout_s: float = TIMEOUT_S
) -> PipedRunner:
    """The probe that reads from `requests` and writes to `answers`, when it has greeted.

    The descriptors remain the caller's; they are set non-blocking. They may be the same one, of a socket or a device.
    Lines before the greeting, such as those of a machine that boots, are passed over.

    Raises:
        BenchError: it ends, or says nothing in time, or speaks another version.

    """
    for fd in {requests, answers}:
        os.set_blocking(fd, False)
    runner = PipedRunner(requests, answers, place=place, timeout_s=timeout_s)
    runner.greeted(greeting_s)
    return runner


class PipedRunner:
    """A running probe. Made by `connect`."""

    def __init__(self, requests: int, answers: int, *, place: Place, timeout_s: float) -> None:
        self._requests = requests
        self._answers = answers
        self._place = place
        self._timeout_s = timeout_s
        self._allowed_s = 0.0  # for what is going on now
        self._deadline = 0.0  # of time.monotonic()
        self._held = bytearray()
        self._broken: str | None = None
        self.workloads: frozenset[str] = frozenset()  # what it can be asked for

    @property
    def place(self) -> Place:
        """What things are called where it runs."""
        return self._place

    @property
    def broken(self) -> bool:
        """Whether the conversation has ended: nothing can be asked any more."""
        return self._broken is not None

    def greeted(self, timeout_s: float) -> None:
        """Wait for the greeting.

        Raises:
            BenchError: see `connect`.

        """
        self._allow(timeout_s)
        while (greeting := GREETING.fullmatch(self._line())) is None:
            pass
        version = int(greeting[1])
        if version != PROTOCOL_VERSION:
            raise self._break(f"the probe speaks version {version}, not {PROTOCOL_VERSION}")
        self.workloads = frozenset(greeting[2].decode().split())

    def sample(self, workload: str, loops: int, settings: dict[str, str]) -> int:
        """The nanoseconds that so many operations take.

        Raises:
            BenchError: it cannot be done there, with the probe's reason; or the conversation has ended.

        """
        if self._broken:
            raise BenchError(self._broken)
        request = _request(workload, loops, settings)
        self._allow(self._timeout_s)
        self._send(request)
        line = self._line()
        if timed := TIMED.fullmatch(line):
            return int(timed[1])
        if refused := REFUSED.fullmatch(line):
            raise BenchError(refused[1].decode())
        raise self._break(f"the probe answered {_shown(line)}")

    def _allow(self, timeout_s: float) -> None:
        self._allowed_s = timeout_s
        self._deadline = time.monotonic() + timeout_s

    def _send(self, data: bytes) -> None:
        while data:
            self._wait(self._requests, select.POLLOUT)
            try:
                data = data[os.write(self._requests, data) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise self._break("the probe has ended") from error

    def _line(self) -> bytes:
        """The next line, without its end; a carriage return that a terminal added is part of that."""
        while b"\n" not in self._held:
            if len(self._held) > MOST_LINE_BYTES:
                raise self._break("the probe answers without an end")
            self._wait(self._answers, select.POLLIN)
            self._held += self._read()
        line, _, rest = bytes(self._held).partition(b"\n")
        self._held = bytearray(rest)
        return line.removesuffix(b"\r")

    def _read(self) -> bytes:
        try:
            data = os.read(self._answers, CHUNK_BYTES)
        except BlockingIOError:
            return b""
        except OSError:  # EIO: a terminal whose other side is closed
            data = b""
        if not data:
            raise self._break("the probe has ended")
        return data

    def _wait(self, fd: int, event: int) -> None:
        poll = select.poll()
        poll.register(fd, event)
        if not poll.poll(max(0.0, (self._deadline - time.monotonic()) * 1000)):
            raise self._break(f"the probe said nothing within {self._allowed_s:g} s")

    def _break(self, why: str) -> BenchError:
        self._broken = why
        return BenchError(why)


def _request(workload: str, loops: int, settings: dict[str, str]) -> bytes:
    """The line that asks for it.

    Raises:
        BenchError: a word of it holds white space or what is not printable: it would be another request.

    """
    words = [workload, str(loops), *(f"{key}={value}" for key, value in settings.items())]
    for word in words:
        if not word or not all("!" <= character <= "~" for character in word):
            raise BenchError(f"not a word of a request: {word[:SHOWN]!r}")
    line = " ".join(words).encode() + b"\n"
    if len(line) > MOST_LINE_BYTES:
        raise BenchError(f"a request of {len(line)} bytes")
    return line


def _shown(line: bytes) -> str:
    return repr(line[:SHOWN].decode(errors="replace"))
