"""Run a command in the lane: `python -m tests.vm.lane [options] -- COMMAND [ARG...]`."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Final

from tests.vm.lane import kernel_package, options
from tests.vm.lane.boot import boot
from tests.vm.lane.errors import BootError, DeadlineError, Interrupted, LaneError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

TRIES: Final = 3
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
EXIT_TIMEOUT: Final = 124  # as timeout(1)
EXIT_LANE_FAILED: Final = 125
EXIT_SIGNAL: Final = 128


def main(argv: Sequence[str]) -> int:
    """Run a command line of the lane; return the exit status."""
    given = options.parse(argv)
    for signum in SIGNALS:
        signal.signal(signum, _interrupt)
    try:
        return run(given)
    except Interrupted as interrupted:
        return EXIT_SIGNAL + interrupted.signum
    except BrokenPipeError:
        return EXIT_SIGNAL + signal.SIGPIPE
    except LaneError as error:
        _say(error)
        return EXIT_TIMEOUT if isinstance(error, DeadlineError) else EXIT_LANE_FAILED


def run(given: options.Options) -> int:
    """Run the command; return its status. Tries again when a boot does not come up. Raises LaneError."""
    if os.geteuid() != 0:
        raise LaneError("the lane needs root, for namespaces and to read the host's root as the guest's")
    cache = options.default_cache()
    kernel = (
        kernel_package.cached(cache / "stock", kernel_package.STOCK)
        if given.stock
        else kernel_package.cached(cache)
    )
    until_s = time.monotonic() + given.timeout_s
    for _ in range(TRIES - 1):
        try:
            return boot(given, kernel, until_s)
        except BootError as error:
            _say(error)
    return boot(given, kernel, until_s)


def _interrupt(signum: int, _frame: FrameType | None) -> None:
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)  # nothing disturbs the clean-up
    raise Interrupted(signum)


def _say(error: LaneError) -> None:
    notes: list[str] = getattr(error, "__notes__", [])
    text = "\n".join(filter(None, (str(error), *(note.strip() for note in notes))))
    sys.stderr.write(f"lane: {text}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
