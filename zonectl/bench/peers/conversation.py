"""A peer's process, with the probe at the other end of its standard streams.

When the conversation is over its input is closed, so that the probe ends, and the peer cleans up behind it as it does
for its users; only one that does not is killed.
"""

from __future__ import annotations

import os
import select
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from zonectl.bench import pipes, site
from zonectl.bench.hosted import Hosted, Pipes, hosted
from zonectl.errors import BenchError
from zonectl.kernel import process
from zonectl.model.escape import escape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zonectl.bench.pipes import PipedRunner
    from zonectl.bench.runner import Place

_END_S: Final = 10.0
_MOST_WORDS_BYTES: Final = 65536
_SHOWN: Final = 200


class _Overheard(Pipes):
    """Pipes whose program's errors go to a file."""

    def __init__(self, held: ExitStack, errors: int) -> None:
        super().__init__(held)
        self._errors = errors

    def streams(self) -> tuple[int | None, int | None, int | None]:
        theirs_in, theirs_out, _ = super().streams()
        return theirs_in, theirs_out, self._errors


@contextmanager
def conversing(given: Hosted, *, place: Place, scratch: str, greeting_s: float) -> Iterator[PipedRunner]:
    """The probe that the process of `given` brings up; what the process says meanwhile is kept in the folder `scratch`.

    Raises:
        BenchError: no probe greets in time; with what the process said last.
        StoreError: what it says cannot be kept.
        SyscallError: there can be no such process.

    """
    with ExitStack() as held:
        path = f"{scratch}/said"
        with site.making(path):
            errors = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        held.callback(os.close, errors)
        streams = _Overheard(held, errors)
        pid = held.enter_context(hosted(given, streams))
        held.callback(_let_end, streams.requests, pid)
        try:
            runner = pipes.connect(streams.requests, streams.answers, place=place, greeting_s=greeting_s)
        except BenchError as error:
            said = _last_words(errors)
            raise BenchError(f"{error.message}: {said}" if said else error.message) from error
        yield runner


def _let_end(requests: int, pid: int) -> None:
    """Close the probe's input, and give the process time to clean up behind it."""
    nothing = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    try:
        # The descriptor has an owner who closes it: only what it refers to goes.
        os.dup2(nothing, requests, inheritable=False)
    finally:
        os.close(nothing)
    pidfd = process.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        poll.poll(_END_S * 1000)
    finally:
        os.close(pidfd)


def _last_words(errors: int) -> str:
    size = os.fstat(errors).st_size
    said = os.pread(errors, _MOST_WORDS_BYTES, max(0, size - _MOST_WORDS_BYTES))
    lines = [line for line in said.decode(errors="replace").splitlines() if line.strip()]
    return escape(lines[-1].strip()[:_SHOWN]) if lines else ""
