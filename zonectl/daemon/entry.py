"""The internal verb `zoned`: start (by a client), serve (by hand or by systemd), resume (after exec), stop, status."""

from __future__ import annotations

import fcntl
import gc
import os
import select
import signal
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from zonectl.daemon import journal, setup
from zonectl.daemon.handover import Channel
from zonectl.daemon.jobs import RuntimeJobs
from zonectl.daemon.server import Server
from zonectl.daemon.worker import Setting
from zonectl.errors import DaemonError, UsageError, ZonectlError
from zonectl.kernel import process, sockets
from zonectl.model.instance import Instance
from zonectl.store.paths import Paths

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from zonectl.daemon.jobs import Jobs
    from zonectl.daemon.verbs import Call

IDLE_S = 300.0
_STOP_TIMEOUT_MS = 10_000
_USAGE = "zonectl zoned serve|stop|status"
_NOT_RUNNING = 3
_PASSED = (3, 4, 5, 6)
"""Where lock, listener, inbox and channel are across the exec of another version."""


def main(call: Call, *, program: Sequence[str], jobs: Callable[[Instance], Jobs] = RuntimeJobs) -> int:
    """Run `zonectl zoned …`; `program` are the words that start this program, for the exec of another version."""
    daemon = Daemon(Instance(root=call.root, run=call.run), program=program, jobs=jobs)
    try:
        return _dispatch(daemon, list(call.rest))
    except (ZonectlError, OSError) as error:
        hint = getattr(error, "hint", None)
        _say(f"zonectl zoned: {error}\n" + (f"{hint}\n" if hint else ""), fd=2)
        return 2 if isinstance(error, UsageError) else 1


def _dispatch(daemon: Daemon, words: list[str]) -> int:
    match words:
        case ["start", lock, ready]:
            return daemon.start(int(lock), int(ready))
        case ["serve"]:
            return daemon.serve()
        case ["resume", whose]:
            return daemon.resume(own_socket=whose == "own")
        case ["stop"]:
            return daemon.stop()
        case ["status"]:
            return daemon.status()
        case _:
            raise UsageError(f"usage: {_USAGE}")


class Daemon:
    """The zoned of one instance, before and after its loop."""

    def __init__(
        self, instance: Instance, *, program: Sequence[str], jobs: Callable[[Instance], Jobs]
    ) -> None:
        self._instance = instance
        self._paths = Paths(instance)
        self._program = tuple(program)
        self._jobs = jobs(instance)
        self._own_socket = True
        self._leaf: str | None = None

    def start(self, lock: int, ready: int) -> int:
        """As a client's child: go to the background with its lock, and say on the pipe `ready` how it went."""
        pid, _pidfd = process.fork()
        if pid:
            os._exit(0)
        process.close_range(max(lock, ready) + 1)
        for fd in (lock, ready):
            os.set_inheritable(fd, False)  # noqa: FBT003 - positional in os
        try:
            self._prepare(lock)
            listener = setup.listen(self._paths)
        except Exception as error:  # noqa: BLE001 - told to the client, who is waiting
            os.write(ready, f"{type(error).__name__}: {error}\n".encode())
            os._exit(1)
        os.write(ready, b"ready\n")
        os.close(ready)
        return self._run(lock, listener, sockets.pair())

    def serve(self) -> int:
        """In the foreground, for systemd or a terminal, with the socket that systemd may have passed."""
        self._paths.ensure()
        passed = setup.passed_listener()
        self._own_socket = passed is None
        lock = setup.take_lock(self._paths)
        self._prepare(lock)
        return self._run(lock, passed or setup.listen(self._paths), sockets.pair())

    def resume(self, *, own_socket: bool) -> int:
        """After the exec of a new version: lock, socket and the children's pair are where they were."""
        for fd in _PASSED:
            os.set_inheritable(fd, False)  # noqa: FBT003 - positional in os
        self._own_socket = own_socket
        lock, *rest = _PASSED
        listener, inbox, channel = (socket.socket(fileno=fd) for fd in rest)
        self._prepare(lock)
        return self._run(lock, listener, (inbox, channel))

    def stop(self) -> int:
        """End the zoned that runs, and wait for it; its zones go on."""
        found = setup.holder(self._paths)
        if found is None:
            raise DaemonError("no zoned runs")
        pidfd = process.pidfd_open(found[0])
        if setup.holder(self._paths) == found:
            process.pidfd_send_signal(pidfd, signal.SIGTERM)
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            if not poll.poll(_STOP_TIMEOUT_MS):
                raise DaemonError(f"zoned (pid {found[0]}) does not end")
        return 0

    def status(self) -> int:
        """Say which zoned runs."""
        found = setup.holder(self._paths)
        if found is None:
            _say("no zoned runs\n")
            return _NOT_RUNNING
        _say(f"zoned {found[1]} runs, pid {found[0]}\n")
        return 0

    def _prepare(self, lock: int) -> None:
        self._paths.ensure()
        setup.drop_caller(self._paths)
        self._jobs.warm()
        self._leaf = self._jobs.leaf()
        setup.become_parent(self._leaf)
        setup.sign_lock(lock)

    def _run(self, lock: int, listener: socket.socket, pair: tuple[socket.socket, socket.socket]) -> int:
        soft_files = setup.raise_files_limit()
        channel = Channel(pair[1])
        setting = Setting(instance=self._instance, jobs=self._jobs, channel=channel, soft_files=soft_files)
        idle_s = float(os.environ.get("ZONECTL_IDLE") or IDLE_S)
        gc.collect()
        # A collection would write to every page that the workers share with us.
        gc.freeze()
        outcome = Server(setting, listener=listener, pair=pair, idle_s=idle_s).run()
        if outcome.program:
            setup.lower_files_limit(soft_files)
            self._become(outcome.program, [lock, listener.fileno(), pair[0].fileno(), pair[1].fileno()])
        if self._own_socket:
            with suppress(FileNotFoundError):
                os.unlink(self._paths.socket)
        listener.close()
        setup.leave_group(self._leaf)
        try:
            self._jobs.leave()
        except (ZonectlError, OSError) as error:
            journal.complain(self._paths, f"what zones shared is not removed: {error}")
        return 0

    def _become(self, program: tuple[str, ...], fds: list[int]) -> None:
        """Execute another version's zoned, with the descriptors that outlive us; if that fails, return and leave."""
        options = ["--root", self._instance.root, "--run", self._instance.run]
        for number, fd in zip(_PASSED, _above(fds), strict=True):
            os.dup2(fd, number, inheritable=True)
        whose = "own" if self._own_socket else "passed"
        try:
            os.execv(program[0], [*program, *options, "zoned", "resume", whose])  # noqa: S606 - a list, no shell
        except OSError as error:
            journal.complain(self._paths, f"cannot become {program[0]}: {error}")


def _above(fds: list[int]) -> list[int]:
    """Copies of `fds` beyond the numbers that they are to get."""
    return [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, max(_PASSED) + 1) for fd in fds]


def _say(text: str, *, fd: int = 1) -> None:
    os.write(fd, text.encode(errors="backslashreplace"))
