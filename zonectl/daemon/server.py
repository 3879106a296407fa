"""zoned's loop: fork, reap, timers. It never waits for a client, a zone, the network or a disk."""

from __future__ import annotations

import os
import select
import signal
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zonectl.daemon import aftermath, handover, worker
from zonectl.daemon.handover import Adopt, Again, Outdated, StartAgain
from zonectl.daemon.logger import Logger
from zonectl.daemon.offspring import fork
from zonectl.daemon.pool import Pool
from zonectl.daemon.watch import LoggerLink, Watch
from zonectl.kernel import pump, sockets
from zonectl.kernel.process import ExitStatus

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable

    from zonectl.daemon.handover import Received
    from zonectl.daemon.watch import Watched
    from zonectl.daemon.worker import Setting

LOGGER_PAUSE_S = 1.0
"""A logger that ends at once is not started again at once."""

_LINGER_S = 0.05
_REMEMBERED = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Why the loop is left: to become what `program` starts, because it is `idle`, or because it was told to."""

    program: tuple[str, ...] | None = None
    idle: bool = False


class Server:
    """One zoned at work. The descriptors stay whoever's made them; `pair` are zoned's and the children's end."""

    def __init__(
        self,
        setting: Setting,
        *,
        listener: socket.socket,
        pair: tuple[socket.socket, socket.socket],
        idle_s: float,
    ) -> None:
        self._setting = setting
        self._inbox = pair[0]
        self._idle_s = idle_s
        self._loop = pump.Loop()
        self._watch = Watch(self._loop, self._zone_ended)
        self._workers: set[int] = set()
        self._due: dict[str, float] = {}
        self._strays: OrderedDict[int, ExitStatus] = OrderedDict()
        self._busy_at = time.monotonic()
        self._leaving: Outcome | None = None
        self._outcome: Outcome | None = None
        self._outdated: list[Received] = []
        self._pool = Pool(
            listener,
            setting,
            serve=lambda sock: self._logged(lambda: int(not worker.serve(setting, sock))) == 0,
            taken=self._engaged,
        )
        self._logger = 0
        self._logger_started_at = 0.0
        self._link: LoggerLink | None = None

    def run(self) -> Outcome:
        """Serve until idle, told to leave, or outdated."""
        signals = pump.Signals(self._loop, self._caught)
        signals.catch(signal.SIGTERM, signal.SIGCHLD)
        for signum in (signal.SIGINT, signal.SIGHUP):
            signal.signal(signum, signal.SIG_IGN)
        self._loop.watch(self._inbox.fileno(), select.POLLIN, self._hear)
        self._start_logger()
        self._pool.watch(self._loop)
        self._pool.hire()
        self._fork(lambda: aftermath.adopt(self._setting))
        self._check_idle()
        while self._outcome is None:
            self._loop.turn()
        return self._leave(self._outcome, signals)

    def _leave(self, outcome: Outcome, signals: pump.Signals) -> Outcome:
        if outcome.program is None:
            # From here on it leaves: told to once more, it must not end halfway.
            signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM,))
        signals.close()
        for received in self._outdated:
            received.accept()
        if self._link:
            self._link.close()
        if outcome.program is None and not self._watch.running and self._logger:
            # Nothing is left to read: an idle logger would stay for nothing.
            os.kill(self._logger, signal.SIGTERM)
            os.waitpid(self._logger, 0)
        return outcome

    def _leave_for(self, outcome: Outcome) -> None:
        """Leave the loop when no worker waits any more: until then one may get a client, who must not be broken off."""
        self._leaving = outcome
        self._pool.dismiss()
        self._leave_if_alone()

    def _leave_if_alone(self) -> None:
        if self._leaving and not self._pool.waiting:
            self._outcome = self._leaving

    def _engaged(self, pid: int) -> None:
        """A worker has a client; it may be served before anybody looks whether one is busy."""
        self._workers.add(pid)
        self._busy_at = time.monotonic()
        if self._leaving and self._leaving.idle:
            self._leaving = None
        self._hire()
        self._leave_if_alone()

    def _hire(self) -> None:
        if self._leaving is None and not self._pool.waiting:
            self._pool.hire()

    def _fork(self, function: Callable[[], int]) -> None:
        """Run `function` in a worker; one that fails says so in zoned's log."""
        self._workers.add(fork(lambda: self._logged(function), keep=(self._setting.channel.fileno(),)))

    def _logged(self, function: Callable[[], int]) -> int:
        try:
            return function()
        except Exception as error:  # noqa: BLE001 - a process ends here
            import traceback

            self._setting.complain(f"unexpected: {error}\n{traceback.format_exc()}")
            return 1

    def _hear(self) -> None:
        received = handover.receive(self._inbox)
        if received is None:
            return
        match received.message:
            case Adopt() as message:
                self._due.pop(message.zone, None)
                self._watch.add(message)
                if status := self._strays.pop(message.pid, None):
                    self._watch.child_ended(message.pid, status)
            case StartAgain(zone=zone, delay_s=delay_s):
                due = self._due[zone] = time.monotonic() + delay_s
                self._loop.later(delay_s, lambda: self._start_again(zone, due))
            case Again(sender=sender):
                self._use_again(sender, received)
                return
            case Outdated(program=program):
                # Answered when there is no spare any more, so that the client's next attempt waits for the new code.
                self._outdated.append(received)
                self._leave_for(Outcome(program=program))
                return
        received.accept()

    def _use_again(self, pid: int, received: Received) -> None:
        """Let a worker that has served its client wait for another, or end."""
        listener = None if self._leaving else self._pool.take_back(pid)
        if listener is None:
            received.refuse()
        else:
            self._workers.discard(pid)
            received.lend(listener)

    def _start_again(self, zone: str, due: float) -> None:
        if self._due.get(zone) == due:
            del self._due[zone]
            self._fork(lambda: aftermath.start_again(self._setting, zone))

    def _zone_ended(self, run: Watched, status: ExitStatus) -> None:
        self._fork(lambda: aftermath.finish(self._setting, run.zone, status, started_s=run.started_s))

    def _caught(self, signum: int) -> None:
        if signum == signal.SIGTERM:
            self._leave_for(Outcome())
        else:
            self._reap()

    def _reap(self) -> None:
        """Take leave of every child that has ended; whose they are is known by pid, and some are nobody's."""
        for pid, status in _ended_children():
            # It may have told of its client, and ended since.
            self._pool.hear()
            pause_s = self._pool.mourn(pid)
            if pid == self._logger:
                self._logger_ended()
            elif pause_s is not None:
                self._leave_if_alone()
                self._loop.later(pause_s, self._hire)
            elif pid in self._workers:
                self._workers.remove(pid)
                self._watch.parent_ended(pid)
            elif not self._watch.child_ended(pid, status):
                self._strays[pid] = status
                while len(self._strays) > _REMEMBERED:
                    self._strays.popitem(last=False)

    def _start_logger(self) -> None:
        ours, theirs = sockets.pair()
        paths = self._setting.paths
        with theirs:
            self._logger = fork(lambda: Logger(paths, theirs).run(), keep=(theirs.fileno(),))
        self._logger_started_at = time.monotonic()
        self._link = LoggerLink(self._loop, ours, read=self._watch.read)
        self._watch.connect(self._link)

    def _logger_ended(self) -> None:
        self._logger = 0
        self._watch.disconnect()
        if self._link:
            self._link.close()
            self._link = None
        age_s = time.monotonic() - self._logger_started_at
        self._loop.later(0 if age_s > LOGGER_PAUSE_S else LOGGER_PAUSE_S, self._start_logger)

    def _check_idle(self) -> None:
        now = time.monotonic()
        if self._workers or self._due or self._watch.running or self._watch.unread:
            self._busy_at = now
        left_s = self._busy_at + self._idle_s - now
        if left_s <= 0:
            self._leave_for(Outcome(idle=True))
            left_s = self._idle_s
        if self._outcome is None:
            self._loop.later(max(_LINGER_S, min(left_s, self._idle_s / 4)), self._check_idle)


def _ended_children() -> Iterable[tuple[int, ExitStatus]]:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, ExitStatus.of_wait_status(status)
