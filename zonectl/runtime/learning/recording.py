"""Watching every system call of a zone: a process of its own asks the kernel, and answers that the call may go on.

    init                              worker                              watcher
      LISTEN (number) ─────────────▶ waits for that descriptor
      loads the asking filter       ◀ pidfd_getfd ──────── fork ────────▶ answers from here on
      execve; its calls …  ◀────────────────────────────────────────────▶ notes them
      the last process ends                                               writes down what it has noted, exits

Init cannot send the listener: sending is a call that would wait for the listener. The watcher is a process, since a
worker has one thread and waits for the zone meanwhile. What init calls before its execve is zonectl's own: its end of
the channel closes on execve, before the program's first instruction, and that tells them apart.

A watcher that is killed takes the listener with it, and every call of the zone fails with ENOSYS; one that is stopped
stops the zone. Nothing is let through unseen, and nothing here confines: see `kernel.notifier`.
"""

from __future__ import annotations

import json
import os
import select
import signal
from collections import Counter
from typing import TYPE_CHECKING, Final, Self

from zonectl.errors import HostLacks, ZonectlError
from zonectl.kernel import attributes, notifier, process
from zonectl.runtime.handshake import close_all, failure
from zonectl.security.seccomp.observed import Seen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zonectl.runtime.handshake import Channel
    from zonectl.runtime.launch import Launched
    from zonectl.security.seccomp.observed import Place

_PATIENCE_MS: Final = 1
_LOST: Final = "the watcher of the zone's system calls has ended before the zone"
MOST_VALUES: Final = 128
"""How many values of an argument are told apart; of a call with more, none is."""


class Recorder:
    """Records the calls of one run. `telling` says which argument of a call (index, mask) is worth noting."""

    def __init__(self, telling: Mapping[Place, tuple[int, int]]) -> None:
        self._telling = telling
        self._memory = -1
        self._watcher = -1

    def __enter__(self) -> Self:
        if not notifier.sizes_fit():
            raise HostLacks("the kernel's notifications of system calls are larger than zonectl knows")
        self._memory = os.memfd_create("seen", os.MFD_CLOEXEC)
        return self

    def __exit__(self, *_: object) -> None:
        if self._watcher >= 0:
            process.kill_and_reap(self._watcher)
            os.close(self._watcher)
        os.close(self._memory)

    @property
    def watcher(self) -> int:
        """A pidfd of the watcher, readable when it has ended; only after `execute`."""
        return self._watcher

    def execute(self, launched: Launched) -> None:
        """Say the word to an init that is to be watched, and wait until it has become the zone's program.

        Raises:
            ProgramError: the program cannot be executed.
            ZonectlError: a restriction cannot be applied, or the watcher ended.

        """
        channel = launched.channel
        channel.say("EXEC")
        listener = self._listener(launched)
        try:
            _pid, self._watcher = process.spawn(lambda: self._watch(listener, channel))
        finally:
            os.close(listener)
        self._await(channel, self._watcher, timeout_ms=None)
        if not _readable(channel.fileno(), 0):
            raise ZonectlError(_LOST)
        channel.expect_end()
        channel.close()

    def seen(self) -> tuple[Seen, ...]:
        """What the zone's processes have called, once the zone has ended; the runtime's own calls are not among it.

        Raises:
            ZonectlError: the watcher was killed, and what it knew is lost.

        """
        ended = process.wait_pidfd(self._watcher)
        if ended != process.ExitStatus(status=0):
            raise ZonectlError(_LOST)
        os.lseek(self._memory, 0, os.SEEK_SET)
        with open(os.dup(self._memory), encoding="ascii") as file:
            return tuple(Seen(*row) for row in json.load(file))

    def _listener(self, launched: Launched) -> int:
        """Init's listener, as soon as it has one."""
        message, fds = launched.channel.hear()
        close_all(fds)
        if message.get("word") != "LISTEN":
            raise failure(message)
        number = int(str(message.get("number")))
        while (found := notifier.fetch(launched.pidfd, number)) is None:
            # Between the word and the listener there is one system call, which may fail.
            if _readable(launched.channel.fileno(), _PATIENCE_MS):
                launched.channel.expect_end()
                raise failure({})
        return found

    @staticmethod
    def _await(channel: Channel, watcher: int, *, timeout_ms: int | None) -> None:
        poll = select.poll()
        poll.register(channel.fileno(), select.POLLIN)
        poll.register(watcher, select.POLLIN)
        poll.poll(timeout_ms)

    def _watch(self, listener: int, channel: Channel) -> int:
        _leave_to_the_worker()
        process.close_all_but((listener, channel.fileno(), self._memory), first=3)
        notes = _Notes(self._telling)
        executed = False
        while notifier.waiting(listener):
            if (call := notifier.receive(listener)) is None:
                continue
            executed = executed or _hung_up(channel.fileno())
            if executed:
                notes.add(call)
            notifier.let_go_on(listener, call.id)
        with open(self._memory, "w", encoding="ascii", closefd=False) as file:
            json.dump(notes.rows(), file)
        return 0


class _Notes:
    """What was called how often."""

    def __init__(self, telling: Mapping[Place, tuple[int, int]]) -> None:
        self._telling = dict(telling)
        self._times: Counter[tuple[int, int, int | None]] = Counter()
        self._values: Counter[Place] = Counter()

    def add(self, call: notifier.Notification) -> None:
        key = (call.arch, call.number, self._value(call))
        if key[2] is not None and key not in self._times:
            self._values[key[:2]] += 1
            if self._values[key[:2]] > MOST_VALUES:
                del self._telling[key[:2]]
                key = (*key[:2], None)
        self._times[key] += 1

    def rows(self) -> list[tuple[int, int, int | None, int]]:
        """Rows of `Seen`; values of a call whose values are too many are forgotten."""
        counted: Counter[tuple[int, int, int | None]] = Counter()
        for (arch, number, value), times in self._times.items():
            counted[arch, number, value if (arch, number) in self._telling else None] += times
        return [(*key, times) for key, times in counted.items()]

    def _value(self, call: notifier.Notification) -> int | None:
        found = self._telling.get((call.arch, call.number))
        return None if found is None else call.arguments[found[0]] & found[1]


def _leave_to_the_worker() -> None:
    """Die with the worker, and let what a terminal sends to the whole group be the worker's business."""
    attributes.set_pdeathsig(signal.SIGKILL)
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM, signal.SIGTSTP):
        signal.signal(number, signal.SIG_IGN)


def _hung_up(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, 0)
    return bool(poll.poll(0))


def _readable(fd: int, timeout_ms: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(timeout_ms))
