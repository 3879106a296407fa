"""strace(1): around a command, or attached to processes that run."""

from __future__ import annotations

import os
import re
import subprocess
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.faults.calls import NAMES
from tests.patience import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.faults.calls import Point

_STANDS_US = 400_000
_EXECVE = re.compile(r"^(?:\d+ +)?execve\(")
_CALL = re.compile(r"^(?:(?P<pid>\d+) +)?(?P<name>\w+)\(", re.MULTILINE)


class NotAttachedError(RuntimeError):
    """strace could not attach, since the process had ended."""


def words(log: Path, point: Point | None, *, follow: bool, programs: bool = True) -> list[str]:
    """The command line of strace, without what is to be traced; not `programs` leaves alone all that is executed."""
    calls = ",".join(NAMES) if point is None else point.call
    inject = ["-e", f"inject={point.expression}"] if point else []
    return [
        "strace",
        *(["-f"] if follow else []),
        *([] if programs else ["--detach-on=execve"]),
        "-o",
        str(log),
        "-s",
        "64",
        "-e",
        f"trace={calls}",
        *inject,
    ]


@contextmanager
def attached(
    pids: Sequence[int], log: Path, point: Point | None, *, follow: bool, programs: bool = False
) -> Iterator[None]:
    """Trace the processes `pids` within the block; with `follow` their children to come, up to a program of theirs."""
    with _tracing(words(log, point, follow=follow, programs=programs), pids, log.with_suffix(".said")):
        yield


def before_a_program(lines: Sequence[str]) -> list[str]:
    """The lines of a trace up to the first execve(2)."""
    last = next((at for at, line in enumerate(lines) if _EXECVE.match(line)), len(lines))
    return list(lines[:last])


@contextmanager
def slow_to_clone(pids: Sequence[int], said: Path) -> Iterator[None]:
    """Have the processes `pids` stand still behind each clone3(2) for a while, in which their child goes on."""
    expression = f"inject=clone3:delay_exit={_STANDS_US}"
    with _tracing(["strace", "-o", os.devnull, "-e", "trace=clone3", "-e", expression], pids, said):
        yield


@contextmanager
def _tracing(argv: Sequence[str], pids: Sequence[int], said: Path) -> Iterator[None]:
    """Run strace at the processes `pids` within the block."""
    with said.open("wb") as stderr:
        tracer = subprocess.Popen(
            [*argv, *(word for pid in pids for word in ("-p", str(pid)))],
            stdin=subprocess.DEVNULL,
            stdout=stderr,
            stderr=stderr,
        )

    def ready() -> bool:
        return said.read_bytes().count(b" attached") >= len(pids) or tracer.poll() is not None

    until(ready, what="strace does not attach")
    try:
        if tracer.poll() is not None:
            raise NotAttachedError(said.read_text(encoding="utf-8", errors="replace"))
        yield
    finally:
        tracer.terminate()
        tracer.wait()


def struck(log: Path, point: Point) -> bool:
    """Whether a process came as far as the call of `point`, by what strace wrote, which traced that call alone.

    What strace says of the end of a process that it has killed may be missing: it may have been told to go before.
    """
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    counts = Counter(match["pid"] for match in _CALL.finditer(text) if match["name"] == point.call)
    return max(counts.values(), default=0) >= point.nth
