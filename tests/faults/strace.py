"""strace(1): around a command, or attached to processes that run."""

from __future__ import annotations

import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.e2e.patience import until
from tests.faults.calls import NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.faults.calls import Point


class NotAttachedError(Exception):
    """strace could not attach, since the process had ended."""


def words(log: Path, point: Point | None, *, follow: bool) -> list[str]:
    """The command line of strace, without what is to be traced."""
    calls = ",".join(NAMES) if point is None else point.call
    inject = ["-e", f"inject={point.expression}"] if point else []
    return [
        "strace",
        *(["-f"] if follow else []),
        "-o",
        str(log),
        "-s",
        "64",
        "-e",
        f"trace={calls}",
        *inject,
    ]


@contextmanager
def attached(pids: Sequence[int], log: Path, point: Point | None, *, follow: bool) -> Iterator[None]:
    """Trace the processes `pids` within the block; with `follow` their children to come as well."""
    argv = [*words(log, point, follow=follow), *(word for pid in pids for word in ("-p", str(pid)))]
    said = log.with_suffix(".said")
    with said.open("wb") as stderr:
        tracer = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr)

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
    """Whether the fault of `point` came to pass, by what strace wrote; it writes when it ends."""
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    return "killed by SIGKILL" in text if point.expression.count("signal=") else "(INJECTED)" in text


def pause(seconds: float) -> None:
    """Let what was set in motion go on."""
    time.sleep(seconds)
