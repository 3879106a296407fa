"""Watching every system call of a zone: a process of its own traces it, and lets each call go on.

    init                              worker                              watcher
                                       forks ──────────────────────────▶ seizes init
      waits for EXEC                 ◀─────────────────────── a word ────
      loads the asking filter        ◀── EXEC
      execve; its calls …  ◀────────────────────────────────────────────▶ notes them
      the last process ends                                               writes down what it has noted, exits

The watcher is a process, since a worker has one thread and waits for the zone meanwhile. What init calls before its
execve is zonectl's own: the tracer is told of the execve, which tells them apart.

A watcher that is killed takes the zone with it; one that is stopped stops the zone. Nothing is let through unseen, and
nothing here confines: see `kernel.tracer`.
"""

from __future__ import annotations

import json
import os
import select
import signal
import struct
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

from zonectl.errors import HostLacks, SyscallError, ZonectlError
from zonectl.kernel import attributes, process, tracer
from zonectl.runtime.launch import see_executed
from zonectl.security.seccomp.observed import Seen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zonectl.runtime.launch import Launched
    from zonectl.security.seccomp.observed import Place

_PATIENCE_S: Final = 5.0
"""How long a watcher may take to see that the zone has been killed, before it is taken for a stopped one."""
_STUCK_MS: Final = 30_000
"""How long the watcher may take to seize init, and init to become the program, before either is taken for stopped."""
_WORD: Final = struct.Struct("=i")
"""An errno, 0 for none."""
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
            HostLacks: processes cannot be traced here.
            ZonectlError: a restriction cannot be applied, or the watcher ended.

        """
        refusal = self._seize(launched.pid)
        if refusal:
            # What has failed is not to be traced either.
            raise launched.channel.overhear() or _untraceable(refusal)
        try:
            self._let_execute(launched)
        except ZonectlError as error:
            # What init failed with ends its watcher as well, but not by a signal.
            ended = process.wait_pidfd(self._watcher, timeout_s=_PATIENCE_S, reap=False)
            if ended == process.ExitStatus(status=0):
                raise
            raise ZonectlError(_LOST) from error

    @staticmethod
    def _let_execute(launched: Launched) -> None:
        launched.channel.bid("EXEC")
        if not _readable(launched.channel.fileno(), _STUCK_MS):
            raise ZonectlError(_LOST)
        launched.channel.expect_end()
        launched.channel.close()
        see_executed(launched.pid, launched.pidfd)

    def end(self) -> None:
        """When init has ended or was killed: have the watcher let go of it, without which nobody could wait for it."""
        if process.wait_pidfd(self._watcher, timeout_s=_PATIENCE_S, reap=False) is None:
            self.give_up()

    def give_up(self) -> None:
        """Kill the watcher, if there is one, and with it the zone; one that has ended has said what it knew."""
        if self._watcher >= 0:
            with suppress(SyscallError):
                process.pidfd_send_signal(self._watcher, signal.SIGKILL)

    def _seize(self, init: int) -> int:
        """Start the watcher; 0, or the errno with which `init` could not be seized."""
        reading, writing = os.pipe()
        with open(reading, "rb", buffering=0) as word:
            try:
                _pid, self._watcher = process.spawn(lambda: self._watch(init, writing))
            finally:
                os.close(writing)
            said = word.read(_WORD.size) if _readable(reading, _STUCK_MS) else b""
        if not said:
            raise ZonectlError(_LOST)
        return int(_WORD.unpack(said)[0])

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

    def _watch(self, init: int, writing: int) -> int:
        _leave_to_the_worker()
        process.close_all_but((writing, self._memory), first=3)
        try:
            tracer.seize(init)
        except SyscallError as error:
            os.write(writing, _WORD.pack(error.errno))
            return 1
        os.write(writing, _WORD.pack(0))
        os.close(writing)
        notes = _Notes(self._telling)
        tracer.follow(init, called=notes.add, executed=notes.begin)
        with open(self._memory, "w", encoding="ascii", closefd=False) as file:
            json.dump(notes.rows(), file)
        return 0


class _Notes:
    """What was called how often, since the first program was executed."""

    def __init__(self, telling: Mapping[Place, tuple[int, int]]) -> None:
        self._telling = dict(telling)
        self._times: Counter[tuple[int, int, int | None]] = Counter()
        self._values: Counter[Place] = Counter()
        self._begun = False

    def begin(self) -> None:
        """What comes is not zonectl's own any more."""
        self._begun = True

    def add(self, call: tracer.Call) -> None:
        """Count a call."""
        if not self._begun:
            return
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

    def _value(self, call: tracer.Call) -> int | None:
        found = self._telling.get((call.arch, call.number))
        return None if found is None else call.arguments[found[0]] & found[1]


def _leave_to_the_worker() -> None:
    """Die with the worker, and let what a terminal sends to the whole group be the worker's business."""
    attributes.set_pdeathsig(signal.SIGKILL)
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM, signal.SIGTSTP):
        signal.signal(number, signal.SIG_IGN)


def _readable(fd: int, timeout_ms: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(timeout_ms))


def _untraceable(number: int) -> HostLacks:
    error = HostLacks(
        "the zone's system calls cannot be watched", hint="see ptrace(2): PTRACE_SEIZE, PTRACE_O_EXITKILL"
    )
    error.__cause__ = SyscallError("ptrace", number, "PTRACE_SEIZE")
    return error
