"""What a worker does with a client: it takes over the client's setting, runs the command, sends the status."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import zonectl
from zonectl.daemon import journal, protocol, setup, verbs
from zonectl.daemon.caller import AskingInput, Caller, WarmFrontend
from zonectl.daemon.handover import Channel, ZonedWarden
from zonectl.daemon.protocol import ProtocolError
from zonectl.errors import DaemonError
from zonectl.store.paths import Paths

if TYPE_CHECKING:
    import io
    import socket

    from zonectl.daemon.jobs import Jobs
    from zonectl.daemon.protocol import Frame, Hello
    from zonectl.model.instance import Instance

HELLO_TIMEOUT_S = 30.0
_FOREGROUND_FAILURE = 125


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What every worker of a zoned knows."""

    instance: Instance
    jobs: Jobs
    channel: Channel
    soft_files: int

    @property
    def paths(self) -> Paths:
        """The instance's paths."""
        return Paths(self.instance)

    def complain(self, text: str) -> None:
        """Write a line into zoned's own log."""
        journal.complain(self.paths, text)


def serve(setting: Setting, sock: socket.socket) -> bool:
    """Serve the client at `sock`; returns when it has its exit status: whether nothing out of the ordinary was."""
    sock.settimeout(HELLO_TIMEOUT_S)
    try:
        frame = protocol.receive(sock)
        if frame is None or frame.kind != protocol.HELLO:
            return False
        hello = protocol.unpack_hello(frame.body)
    except (ProtocolError, TimeoutError) as error:
        setting.complain(f"a client was not understood: {error}")
        return False
    except OSError:  # it has gone
        return False
    if len(frame.descriptors) != 1 + len(hello.sent):
        setting.complain("a client did not send its descriptors")
        return False
    sock.settimeout(None)
    if hello.version != zonectl.__version__.encode():
        _give_way(setting, sock, hello)
        return False
    return _Call(setting, sock, hello).run(frame)


def _give_way(setting: Setting, sock: socket.socket, hello: Hello) -> None:
    """Have zoned become the client's version; the client tries again."""
    try:
        setting.channel.outdated([os.fsdecode(word) for word in hello.program])
    except DaemonError as error:
        setting.complain(str(error))
    with suppress(OSError):
        protocol.send(sock, protocol.VERSION)


class _Call:
    """One client's command line, from the welcome to the exit status."""

    def __init__(self, setting: Setting, sock: socket.socket, hello: Hello) -> None:
        self._setting = setting
        self._hello = hello
        self._argv = [os.fsdecode(word) for word in hello.argv]
        environment = dict(word.partition(b"=")[::2] for word in hello.environment)
        self._environment = {os.fsdecode(name): os.fsdecode(value) for name, value in environment.items()}
        self._sock = sock
        self._verb = ""
        self._caller = Caller(sock, "")
        self._ordinary = False

    def run(self, frame: Frame) -> bool:
        """Take over the client's setting, run the command, send the status: whether it ended as commands do."""
        try:
            protocol.send(self._sock, protocol.WELCOME)
        except OSError:  # the client has gone, and nothing was done for it
            return False
        self._enter(frame)
        sys.argv = ["zonectl", *self._argv]
        call = verbs.parse(self._argv, self._environment, verbs.working_folder())
        self._verb = call.verb
        self._caller = Caller(self._sock, call.verb)
        if 0 in self._hello.terminals:
            sys.stdin = AskingInput(self._caller)
        instance = self._setting.instance
        if call.root != instance.root:
            status = self._refuse(
                f"the zoned of {instance.run} has its zones in {instance.root}, not {call.root}"
            )
        else:
            status = self._command()
        self._caller.send(protocol.EXIT, b"%d" % (status & 0xFF))
        return self._ordinary and self._verb in verbs.LIGHT

    def _enter(self, frame: Frame) -> None:
        cwd, *streams = frame.descriptors
        os.fchdir(cwd)
        os.close(cwd)
        os.umask(self._hello.umask)
        os.environ.clear()
        os.environ.update(self._environment)
        time.tzset()
        _wire(dict(zip(self._hello.sent, streams, strict=True)))
        setup.lower_files_limit(self._setting.soft_files)

    def _command(self) -> int:
        warden = ZonedWarden(self._setting.channel, self._setting.paths)
        frontend = WarmFrontend(self._caller, self._hello)
        try:
            self._caller.listen()
            status = self._setting.jobs.command(self._argv, frontend=frontend, warden=warden)
            self._caller.hush()
            _flush()
            self._ordinary = True
        except KeyboardInterrupt:
            status = 128 + signal.SIGINT
        except BrokenPipeError:
            status = 128 + signal.SIGPIPE
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else int(error.code is not None)
        except Exception:  # noqa: BLE001 - a process ends here
            self._setting.complain(f"{self._verb or 'a command'}: unexpected\n{traceback.format_exc()}")
            status = self._refuse("internal error; zoned.log in the run root has the details")
        if self._caller.interrupted and status == 128 + signal.SIGINT:
            return 128 + self._caller.interrupted
        return status

    def _refuse(self, text: str) -> int:
        self._caller.send(protocol.TEXT, f"zonectl: {text}\n".encode(errors="surrogateescape"))
        return _FOREGROUND_FAILURE if self._verb in verbs.FOREGROUND else 1


def _wire(streams: dict[int, int]) -> None:
    """Make the client's streams 0..2, /dev/null standing in for what it has not sent, and Python's names for them."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for stream in range(3):
        os.dup2(streams.get(stream, null), stream)
    for fd in (null, *streams.values()):
        os.close(fd)
    sys.stdin = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)  # noqa: SIM115 - for good
    sys.stdout = _text_stream(1, errors="surrogateescape")
    sys.stderr = _text_stream(2, errors="backslashreplace")


def _text_stream(fd: int, *, errors: str) -> io.TextIOWrapper:
    buffered = fd != 2 and not os.isatty(fd)  # noqa: PLR2004 - standard error
    return open(fd, "w", encoding="utf-8", errors=errors, buffering=-1 if buffered else 1, closefd=False)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
