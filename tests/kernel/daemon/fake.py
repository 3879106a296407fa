"""Stands in for the verbs: real processes, real FIFOs, but no zones. Runs in zoned's workers and in the cold path."""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import resource
import signal
import sys
import termios
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.patience import until
from zonectl.cli.local import LocalFrontend
from zonectl.daemon import setup
from zonectl.errors import ZonectlError
from zonectl.kernel import proc, process
from zonectl.model.config import Restart
from zonectl.model.names import ZoneName
from zonectl.model.record import LastExit, LiveNote
from zonectl.store import logs, records, restarts
from zonectl.store.paths import Paths

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from zonectl.kernel.process import ExitStatus
    from zonectl.model.instance import Instance
    from zonectl.runtime.frontend import Frontend, Warden


@dataclass
class Survivor:
    name: str
    pid: int
    pidfd: int


def _is_alive(live: LiveNote) -> bool:
    return proc.start_ticks(live.pid) == live.start_ticks and proc.process_state(live.pid) not in {"Z", "X"}


def _deliver(pidfd: int, signum: int) -> None:
    with suppress(ZonectlError):
        process.pidfd_send_signal(pidfd, signum)


def _execute(words: Sequence[str], fds: Sequence[int | None], *, terminal: bool = False) -> tuple[int, int]:
    pid, pidfd = process.fork()
    if pid:
        return pid, pidfd
    try:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for number, fd in enumerate(fds):
            os.dup2(null if fd is None else fd, number)
        if terminal:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        os.closerange(3, 1000)
        os.execvp(words[0], list(words))
    finally:
        os._exit(127)


def _exec(words: list[str], frontend: Frontend) -> int:
    if words[0] == "-t":
        master, slave = os.openpty()
        _pid, pidfd = _execute(words[1:], [slave] * 3, terminal=True)
        os.close(slave)
        frontend.attach(master)
    else:
        streams = frontend.streams()
        frontend.keep_signals()
        _pid, pidfd = _execute(words, streams)
    status = frontend.wait(pidfd, lambda signum: _deliver(pidfd, signum))
    os.close(pidfd)
    return status.code


def _descriptors() -> dict[str, str]:
    found = {}
    for fd in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # that of the listing itself
            found[fd] = os.readlink(f"/proc/self/fd/{fd}")
    return found


def _tell() -> None:
    umask = os.umask(0)
    os.umask(umask)
    told = {
        "pid": os.getpid(),
        "argv": sys.argv[1:],
        "cwd": os.getcwd(),
        "environment": dict(os.environ),
        "umask": umask,
        "fds": _descriptors(),
        "isatty": [os.isatty(fd) for fd in range(3)],
        "sid": os.getsid(0),
        "oom": proc.read("self", "oom_score_adj"),
        "cgroup": proc.cgroup_of("self"),
    }
    print(json.dumps(told))  # noqa: T201


def _leave(what: str) -> None:
    """Leave something behind in the process that a command runs in."""
    kept.append(_LEFT[what]())


def _leave_child() -> int:
    pid, pidfd = process.fork()
    if pid == 0:
        os._exit(0)
    os.close(pidfd)
    return pid


def _leave_limit() -> None:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard - 1, hard - 1))


def _leave_thread() -> None:
    threading.Thread(target=threading.Event().wait, daemon=True).start()


kept: list[object] = []
_LEFT: dict[str, Callable[[], object]] = {
    "a descriptor": lambda: os.open("/", os.O_RDONLY),
    "a child": _leave_child,
    "a thread": _leave_thread,
    "a handler": lambda: signal.signal(signal.SIGUSR1, lambda *_: None),
    "an ignored signal": lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    "a blocked signal": lambda: signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]),
    "a timer": lambda: signal.setitimer(signal.ITIMER_REAL, 1000),
    "a lower limit": _leave_limit,
    "another priority": lambda: os.nice(1),
    "another namespace": lambda: process.unshare(process.CLONE_NEWUTS),
    "no dumps": lambda: process.set_dumpable(False),
    "no new privileges": process.set_no_new_privs,
    "fewer processors": lambda: os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]),
    "another group": lambda: os.setgroups([12345]),
    "another root": lambda: os.chroot("/tmp"),
    "memory": lambda: bytearray(b"x") * (32 << 20),
    "a session": os.setsid,
    "an error": lambda: 1 / 0,
    "an exit": lambda: sys.exit(3),
    "a folder": lambda: os.chdir("/proc"),
    "a umask": lambda: os.umask(0),
    "a variable": lambda: os.environ.update(LEFT="behind"),
    "streams": lambda: setattr(sys, "stdout", sys.stderr),
    "nothing": lambda: None,
}


def _sleep_unheard() -> None:
    """Four times a minute, or until a signal; the interpreter looks for signals after the last time only.

    As if those that ended the others had come just before a call that waits.
    """
    deque(map(ctypes.CDLL(None).sleep, (60,) * 4), maxlen=0)


class FakeJobs:
    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._paths = Paths(instance)

    def rehearsal(self) -> tuple[Callable[[], object], ...]:
        return (_sleep_unheard,) if os.path.exists(f"{self._paths.root}/long rehearsal") else ()

    def warm(self) -> None:
        if os.path.exists(f"{self._paths.root}/broken"):
            raise ImportError("it is broken")

    def leaf(self) -> str | None:
        # On a busy host a worker that was sent home takes longer to go than zoned would wait.
        setup._ENDING_S = 60.0
        try:
            with open(f"{self._paths.root}/leaf", encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def command(self, argv: Sequence[str], *, frontend: Frontend, warden: Warden) -> int:
        return self._command(_without_options(argv), frontend, warden)

    def start(self, name: str, *, warden: Warden, unless: Callable[[], bool]) -> None:
        self._hold_up(name, "start")
        if unless():
            return
        with open(f"{self._paths.run_zone_dir(name)}/command", encoding="utf-8") as file:
            self._start([name, *json.load(file)], warden)

    def finish(self, name: str, ended: ExitStatus) -> bool:
        self._hold_up(name, "finish")
        folder = self._paths.run_zone_dir(name)
        live = records.load_live(self._paths, name)
        if live and _is_alive(live):
            Path(folder, "still running").touch()
            return False
        with open(f"{folder}/finished", "a", encoding="utf-8") as file:
            file.write(f"{ended.status} {ended.signal}\n")
        by_user = os.path.exists(self._paths.stop_request(name))
        last = LastExit(ended_at=time.time(), status=ended.status, signal=ended.signal, by_user=by_user)
        records.save_last(self._paths, name, last)
        records.remove_live(self._paths, name)
        return True

    def _hold_up(self, name: str, what: str) -> None:
        """As long as the test likes."""
        asked = Path(self._paths.run_zone_dir(name), f"hold up {what}")
        if asked.exists():
            asked.with_name(f"held up {what}").touch()
            until(lambda: not asked.exists())

    def leave(self) -> None:
        """As slowly as the test likes: told to leave once more meanwhile, zoned must not end before."""
        if os.path.exists(f"{self._paths.root}/leave slowly"):
            Path(self._paths.root, "leaving").touch()
            until(Path(self._paths.root, "leave now").exists)
        with open(f"{self._paths.root}/left", "w", encoding="utf-8"):
            return

    def policy(self, name: str) -> Restart:
        try:
            with open(f"{self._paths.run_zone_dir(name)}/policy", encoding="utf-8") as file:
                return Restart(file.read())
        except FileNotFoundError:
            return Restart.NO

    def stopped_by_user(self, name: str) -> bool:
        last = records.load_last(self._paths, name)
        return last is not None and last.by_user

    def recover(self) -> None:
        return

    def survivors(self) -> list[Survivor]:
        with suppress(FileNotFoundError):
            awaited = Path(self._paths.root, "found nothing before").read_text(encoding="utf-8")
            until(lambda: restarts.load(self._paths, awaited))
            return []
        found = []
        for name in os.listdir(self._paths.run_zones_dir):
            live = records.load_live(self._paths, name)
            if live and _is_alive(live):
                found.append(Survivor(name, live.pid, os.pidfd_open(live.pid)))
        return found

    def _command(self, words: list[str], frontend: Frontend, warden: Warden | None) -> int:  # noqa: C901, PLR0912
        match words:
            case ["show"]:
                _tell()
            case ["list"]:
                return 0
            case ["wait"]:
                time.sleep(60)
            case ["wait", "unheard"]:
                _sleep_unheard()
            case ["create"]:
                print("asked", input("sure? "), sys.stdin.isatty())  # noqa: T201
            case ["image"]:
                print("x" * 300_000)  # noqa: T201
            case ["create", what]:
                _leave(what)
            case ["delete"]:
                print("x" * 300_000 + "SECRET", end="")  # noqa: T201
            case ["set"]:
                raise RuntimeError("what nobody thought of")
            case ["exec" | "run", *rest]:
                return _exec(rest, frontend)
            case ["start", *rest]:
                assert warden is not None
                return self._start(rest, warden)
            case ["stop", name]:
                return self._stop(name)
            case ["logs", name]:
                for line in logs.read(self._paths, name):
                    sys.stdout.buffer.write(line.stream.name.encode() + b" " + line.text + b"\n")
        return 0

    def _start(self, words: list[str], warden: Warden) -> int:
        name, *command = words
        folder = self._paths.run_zone_dir(name)
        os.makedirs(folder, exist_ok=True)
        os.makedirs(self._paths.zone_dir(name), exist_ok=True)
        with open(f"{folder}/command", "w", encoding="utf-8") as file:
            json.dump(command, file)
        fds = []
        for stream in ("out", "err"):
            with suppress(FileExistsError):
                os.mkfifo(f"{folder}/{stream}")
            fds.append(os.open(f"{folder}/{stream}", os.O_RDWR))
        pid, pidfd = _execute(command, [None, *fds])
        ticks = proc.start_ticks(pid)
        assert ticks is not None
        note = LiveNote(pid=pid, start_ticks=ticks, boot_id=proc.boot_id(), started_at=time.time())
        records.save_live(self._paths, name, note)
        warden.adopt(zone=ZoneName(name), pid=pid, pidfd=pidfd)
        return 0

    def _stop(self, name: str) -> int:
        with open(self._paths.stop_request(name), "w", encoding="utf-8"):
            live = records.load_live(self._paths, name)
            if live:
                os.kill(live.pid, signal.SIGKILL)
        return 0


def _without_options(argv: Sequence[str]) -> list[str]:
    words = list(argv)
    while words and words[0].startswith("-"):
        del words[: 2 if words[0] in {"--root", "--run"} else 1]
    return words


def cold(argv: Sequence[str], instance: Instance) -> int:
    """The cold path: as `zonectl.cli.main` without a front end."""
    if not os.isatty(2):
        sys.stderr.write("cold\n")
    return FakeJobs(instance)._command(_without_options(argv), LocalFrontend(), None)
