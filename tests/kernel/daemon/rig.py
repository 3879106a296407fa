"""A zoned of a test's own: the real client and the real daemon, around the fake verbs."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.patience import until
from zonectl.daemon import setup
from zonectl.kernel import proc
from zonectl.model.instance import Instance
from zonectl.store.paths import Paths

if TYPE_CHECKING:
    from collections.abc import Sequence

REPOSITORY = Path(__file__).parents[3]

LAUNCHER = """#!/usr/bin/python3 -IS
import sys
sys.path.append({repository!r})
import zonectl
zonectl.__version__ = {version!r}
from zonectl import client
from zonectl.daemon import verbs
def in_place(argv, site):
    sys.path.extend(site)
    from tests.kernel.daemon import fake
    from zonectl.model.instance import Instance
    call = verbs.parse(argv, client._settings(), verbs.working_folder())
    return fake.cold(argv, Instance(root=call.root, run=call.run))
def zoned(call, site):
    sys.path.extend(site)
    from tests.kernel.daemon import fake
    from zonectl.daemon import entry
    return entry.main(call, program=client._program(), jobs=fake.FakeJobs)
client._in_place = in_place
client._zoned = zoned
sys.exit(client.main(sys.argv[1:], site={site!r}))
"""


def write_launcher(path: Path, version: str) -> str:
    """Write the client in Python, of a version of its own, around the fake verbs."""
    site = tuple(entry for entry in sys.path if entry.endswith("-packages"))
    path.write_text(LAUNCHER.format(repository=str(REPOSITORY), version=version, site=site))
    path.chmod(0o755)
    return str(path)


class Rig:
    """An instance in a folder of its own, and commands that use it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.instance = Instance(root=str(folder / "root"), run=str(folder / "run"))
        self.paths = Paths(self.instance)
        self.paths.ensure()
        self.launcher = self.make_launcher("1")
        self.environment = {**os.environ, "ZONECTL_ROOT": self.paths.root, "ZONECTL_RUN": self.paths.run_dir}

    def make_launcher(self, version: str) -> str:
        return write_launcher(self.folder / f"zonectl-{version}", version)

    def run(
        self, *words: str, launcher: str | None = None, **options: object
    ) -> subprocess.CompletedProcess[bytes]:
        options = {"env": self.environment, "timeout": 60, "stdin": subprocess.DEVNULL, **options}
        if "stdout" not in options:
            options["capture_output"] = True
        return subprocess.run([launcher or self.launcher, *words], check=False, **options)  # type: ignore[call-overload, no-any-return]

    def popen(self, *words: str, **options: object) -> subprocess.Popen[bytes]:
        options = {"env": self.environment, "stdin": subprocess.DEVNULL, **options}
        return subprocess.Popen([self.launcher, *words], **options)  # type: ignore[call-overload, no-any-return]

    def terminal(self, *words: str) -> Terminal:
        return Terminal([self.launcher, *words], self.environment)

    def zoned(self) -> int:
        """The pid of the zoned that runs; 0 if there is none."""
        found = setup.holder(self.paths)
        return found[0] if found else 0

    def logger(self) -> int:
        with suppress(FileNotFoundError):
            return int(Path(self.paths.run_dir, "logger.lock").read_text() or 0)
        return 0

    def kill_zoned(self) -> None:
        """Kill the zoned that runs.

        As a zombie it has sent the workers that wait their death signal; its lock is free before that, when one of them
        may still take a client.
        """
        zoned = until(self.zoned)
        os.kill(zoned, signal.SIGKILL)
        until(lambda: proc.process_state(zoned) in {None, "Z", "X"})

    def kill_all(self) -> None:
        for path in Path(self.paths.run_zones_dir).glob("*/policy"):
            path.unlink()
        for pid in (self.zoned(), self.logger()):
            if pid:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        for entry in os.listdir("/proc"):
            if entry.isdecimal() and int(entry) != os.getpid():
                with suppress(OSError, UnicodeDecodeError):
                    # Zones of this test: whoever holds one of its FIFOs.
                    links = [os.readlink(f"/proc/{entry}/fd/{fd}") for fd in ("1", "2")]
                    if any(link.startswith(self.paths.run_zones_dir) for link in links):
                        os.kill(int(entry), signal.SIGKILL)


class Terminal:
    """A command in a pty of its own, as a shell would run it."""

    def __init__(self, words: Sequence[str], environment: dict[str, str]) -> None:
        self.seen = bytearray()
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.execve(words[0], list(words), environment)
        self.status: int | None = None

    def type(self, text: bytes) -> None:
        os.write(self.master, text)

    def expect(self, text: bytes, *, timeout_s: float = 60.0) -> bytes:
        """Read until `text` has been seen: what came before it."""
        deadline = time.monotonic() + timeout_s
        searched = 0
        while (found := self.seen.find(text, searched)) < 0:
            searched = max(0, len(self.seen) - len(text))
            assert self._read(deadline - time.monotonic()), (text, self.seen)
        before = bytes(self.seen[:found])
        del self.seen[: found + len(text)]
        return before

    def rest(self) -> bytes:
        while self._read(10):
            pass
        return bytes(self.seen)

    def is_raw(self) -> bool:
        return not termios.tcgetattr(self.master)[3] & termios.ICANON

    def resize(self, rows: int, columns: int) -> None:
        termios.tcsetwinsize(self.master, (rows, columns))

    def wait(self) -> int:
        """The exit status, negative for a signal."""
        if self.status is None:
            deadline = time.monotonic() + 60
            while (found := os.waitpid(self.pid, os.WNOHANG))[0] == 0:
                assert time.monotonic() < deadline, "it does not end"
                self._read(0.01)
            self.status = os.waitstatus_to_exitcode(found[1])
        return self.status

    def close(self) -> None:
        if self.status is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.master)

    def _read(self, timeout_s: float) -> bool:
        if not select.select([self.master], [], [], max(0, timeout_s))[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self.seen += data
        return bool(data)
