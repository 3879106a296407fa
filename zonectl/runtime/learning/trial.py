"""One run of a workload: how it ended, what it said, within what time."""

from __future__ import annotations

import hashlib
import os
import select
import signal
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from zonectl.kernel import process
from zonectl.runtime.run import run_one

if TYPE_CHECKING:
    from collections.abc import Callable

    from zonectl.kernel.process import ExitStatus
    from zonectl.model.config import ZoneConfig
    from zonectl.model.seccomp import Filter
    from zonectl.planning import ZonePlan
    from zonectl.runtime.context import Context
    from zonectl.runtime.learning.recording import Recorder

_CHUNK_BYTES: Final = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended, the SHA-256 of its standard output, how long it took. `late`: it was ended for that."""

    status: ExitStatus
    output: str
    took_s: float
    late: bool = False


def attempt(
    context: Context,
    config: ZoneConfig,
    *,
    stdin: int | None,
    timeout_s: float,
    show: int | None = None,
    recorder: Recorder | None = None,
    seccomp: Filter | None = None,
) -> Outcome:
    """Run the workload of `config` once, in a zone that is gone afterwards; what zones share stays for the next.

    `stdin` is a descriptor of a regular file, read from its beginning each time; what the workload writes goes to the
    descriptor `show` too, if one is given. `seccomp` is a filter in the place of the one of its file.

    Raises:
        ZonectlError: as `run_one`.

    """
    bystander = _Bystander(stdin, show, timeout_s=timeout_s, recorder=recorder)
    began = time.monotonic()
    try:
        status = run_one(context, config, bystander, recorder=recorder, reshape=_filtered(seccomp))
    finally:
        bystander.close()
    return Outcome(
        status=status,
        output=bystander.digest,
        took_s=time.monotonic() - began,
        late=bystander.late,
    )


def _filtered(seccomp: Filter | None) -> Callable[[ZonePlan], ZonePlan]:
    def reshape(plan: ZonePlan) -> ZonePlan:
        return plan if seccomp is None else replace(plan, restrict=replace(plan.restrict, seccomp=seccomp))

    return reshape


class _Bystander:
    """The caller of a run that nobody talks to (`zonectl.runtime.frontend.Frontend`)."""

    def __init__(
        self,
        stdin: int | None,
        show: int | None,
        *,
        timeout_s: float,
        recorder: Recorder | None,
    ) -> None:
        self._stdin = stdin
        self._show = show
        self._timeout_s = timeout_s
        self._recorder = recorder
        self._theirs: list[int] = []
        self._ours: dict[int, bool] = {}
        self._said = hashlib.sha256()
        self.late = False

    @property
    def interactive(self) -> bool:
        """Nobody is there."""
        return False

    @property
    def window(self) -> tuple[int, int]:
        """What a terminal would have."""
        return (24, 80)

    @property
    def digest(self) -> str:
        """The SHA-256 of the standard output until now."""
        return self._said.hexdigest()

    def streams(self) -> tuple[int | None, int | None, int | None]:
        """The recorded input from its beginning, and two pipes."""
        stdin = None
        if self._stdin is not None:
            # Opened anew: an offset of its own.
            stdin = os.open(f"/proc/self/fd/{self._stdin}", os.O_RDONLY | os.O_CLOEXEC)
            self._theirs.append(stdin)
        return (stdin, self._pipe(is_output=True), self._pipe(is_output=False))

    def keep_signals(self) -> None:
        """Nobody sends signals."""

    def attach(self, master: int) -> None:
        """Let go of a terminal: none is asked for."""
        os.close(master)

    def wait(self, pidfd: int, deliver: Callable[[int], None]) -> ExitStatus:
        """Read what the workload says until it has ended; kill it when its time or its watcher is up."""
        self._let_go()
        self._attend(pidfd, deliver)
        if self._recorder:
            self._recorder.end()
        status = process.wait_pidfd(pidfd)
        # The zone's last process has ended with its init: there is an end to what it said.
        for fd in self._ours:
            while self._read(fd):
                pass
        return status or process.ExitStatus()

    def close(self) -> None:
        """Close what was made."""
        self._let_go()
        for fd in self._ours:
            os.close(fd)
        self._ours.clear()

    def _attend(self, pidfd: int, deliver: Callable[[int], None]) -> None:
        until = time.monotonic() + self._timeout_s
        waiting = select.poll()
        for fd in (pidfd, *self._ours, *([self._recorder.watcher] if self._recorder else ())):
            waiting.register(fd, select.POLLIN)
        while pidfd not in (ready := self._ready(waiting, until)):
            if not ready:
                self.late = True
            if not ready or not self._ours.keys() >= ready:
                deliver(signal.SIGKILL)
                break
            for fd in ready:
                if not self._read(fd):
                    waiting.unregister(fd)

    def _pipe(self, *, is_output: bool) -> int:
        reader, writer = os.pipe()
        self._ours[reader] = is_output
        self._theirs.append(writer)
        return writer

    def _let_go(self) -> None:
        while self._theirs:
            os.close(self._theirs.pop())

    @staticmethod
    def _ready(waiting: select.poll, until: float) -> set[int]:
        left_ms = max(0, int((until - time.monotonic()) * 1000))
        return {fd for fd, _ in waiting.poll(left_ms)}

    def _read(self, fd: int) -> bool:
        data = os.read(fd, _CHUNK_BYTES)
        if self._ours[fd]:
            self._said.update(data)
        if self._show is not None:
            left = data
            while left:
                left = left[os.write(self._show, left) :]
        return bool(data)
