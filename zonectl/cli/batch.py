"""One verb on several zones: at most four at a time, each in a process of its own, in the order of dependencies.

A process must be single-threaded to enter namespaces, hence children; one zone alone needs none.
"""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from zonectl.cli import failure
from zonectl.errors import SyscallError, ZonectlError
from zonectl.kernel import process
from zonectl.kernel.signals import held_back

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

AT_ONCE = 4

_INTERRUPTING = (signal.SIGINT, signal.SIGIO)
"""What becomes a KeyboardInterrupt: Ctrl-C, and in zoned's worker the news that the client got one."""


class Batch:
    """The zones of one command; each failure is told when it happens. `codes` are the exit codes by zone."""

    def __init__(self, *, debug: bool = False) -> None:
        self._debug = debug
        self.codes: dict[str, int] = {}

    @property
    def worst(self) -> int:
        """The exit status of all of it: the highest."""
        return max(self.codes.values(), default=0)

    def failed(self, names: Iterable[str]) -> list[str]:
        """Those of `names` that failed."""
        return [name for name in names if self.codes.get(name)]

    def note(self, name: str, error: ZonectlError | OSError) -> None:
        """Tell a failure of the zone `name`."""
        failure.tell(error, debug=self._debug)
        self.codes[name] = failure.code(error)

    def each(self, names: Sequence[str], act: Callable[[str], None]) -> None:
        """Act on zones that do not depend on each other.

        Raises:
            KeyboardInterrupt: the user has interrupted, and all have ended.

        """
        if len(names) == 1:
            self.codes[names[0]] = self._attempt(names[0], act)
            return
        running = _Running()
        try:
            self._all(list(names), act, running=running)
        except KeyboardInterrupt:
            running.interrupt()
            raise

    def _all(self, waiting: list[str], act: Callable[[str], None], *, running: _Running) -> None:
        while waiting or running.zones:
            while waiting and len(running.zones) < AT_ONCE:
                name = waiting.pop(0)
                running.start(name, lambda name=name: self._in_child(name, act))  # type: ignore[misc]
            self.codes.update(running.ended())

    def _attempt(self, name: str, act: Callable[[str], None]) -> int:
        try:
            act(name)
        except (ZonectlError, OSError) as error:
            if isinstance(error, ZonectlError):
                error.zone = error.zone or name
            failure.tell(error, debug=self._debug)
            return failure.code(error)
        return 0

    def _in_child(self, name: str, act: Callable[[str], None]) -> int:
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _INTERRUPTING)
            return self._attempt(name, act)
        except KeyboardInterrupt:
            return failure.INTERRUPTED
        except Exception as error:  # noqa: BLE001 - a process ends here
            failure.tell(error, debug=True)
            return failure.FAILED


class _Running:
    """The children that work at the moment, by pidfd."""

    def __init__(self) -> None:
        self.zones: dict[int, str] = {}

    def start(self, name: str, work: Callable[[], int]) -> None:
        with held_back(_INTERRUPTING):
            _pid, pidfd = process.spawn(work)
            self.zones[pidfd] = name

    def ended(self) -> dict[str, int]:
        """Wait until one has ended; the codes of all that have."""
        return dict(self._reap(pidfd) for pidfd in self._ready())

    def interrupt(self) -> None:
        """Tell all, and wait for all; further interruptions change nothing."""
        for pidfd in self.zones:
            with suppress(SyscallError):
                process.pidfd_send_signal(pidfd, signal.SIGINT)
        while self.zones:
            with suppress(KeyboardInterrupt):
                self._reap(next(iter(self.zones)))

    def _ready(self) -> list[int]:
        poll = select.poll()
        for pidfd in self.zones:
            poll.register(pidfd, select.POLLIN)
        return [pidfd for pidfd, _ in poll.poll()]

    def _reap(self, pidfd: int) -> tuple[str, int]:
        status = process.wait_pidfd(pidfd)
        name = self.zones.pop(pidfd)
        os.close(pidfd)
        if status is None or status.status is None:
            failure.tell(ZonectlError("the process that worked on it was killed", zone=name))
            return name, failure.FAILED
        return name, status.status
