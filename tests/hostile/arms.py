"""Where a probe is tried: on the host, and in a zone in three ways."""

from __future__ import annotations

import os
import re
import subprocess
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from tests.e2e.instance import Done
from tests.hostile.probe import Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.hostile.scene import Scene

TIMEOUT_S = 300 if "ZONECTL_LANE" in os.environ else 60
"""Less than a test is given; in the lane a command without zoned takes long to be imported."""

_VERDICT = re.compile(rf"({'|'.join(verdict.value for verdict in Verdict)})\t(\S+)\t(.*)")
# Mounts of the host's are not the probes': they see copies of them.
_APART = ("unshare", "--mount", "--propagation", "private")
_FAILED = 125


class Arm(ABC):
    """A place to try a probe in, changed by `keys` and without the step `without`.

    `values` is what `{name}` in a probe's words stands for there.
    """

    inside = True

    def __init__(
        self, scene: Scene, values: Mapping[str, str], *, keys: tuple[str, ...] = (), without: str = ""
    ) -> None:
        self.scene = scene
        self.values = {**scene.values, **values}
        self.keys = keys
        self.without = without

    @abstractmethod
    def argv(self, *argv: str) -> list[str]:
        """The words that run a program there."""

    @abstractmethod
    def as_user(self, user: int) -> Arm:
        """The same place, for another user."""

    @property
    def environment(self) -> dict[str, str]:
        """The environment of those who run it."""
        return self.scene.z.environment

    def execute(self, *argv: str, **options: Any) -> Done:
        """Run a program there to its end."""
        options = {"env": self.environment, "timeout": TIMEOUT_S, **options}
        if "input" not in options:
            options.setdefault("stdin", subprocess.DEVNULL)
        done = subprocess.run(
            self.argv(*argv), check=False, capture_output=True, start_new_session=True, **options
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def popen(self, *argv: str, **options: Any) -> subprocess.Popen[bytes]:
        """Begin to run a program there."""
        options = {"env": self.environment, "stdin": subprocess.DEVNULL, **options}
        return subprocess.Popen(self.argv(*argv), start_new_session=True, **options)

    def program(self, program: str, *words: str) -> list[str]:
        """The words of one of the probes' own programs, as they are there."""
        return [f"{self.values['programs']}/{program}", *(word.format_map(self.values) for word in words)]

    def probe(self, program: str, *words: str, **options: Any) -> Outcome:
        """Run one of the probes' own programs there, and read its verdict."""
        return read(self.execute(*self.program(program, *words), **options))


class HostArm(Arm):
    """A user of the host, root if none is named, in a mount namespace of its own."""

    inside = False

    def __init__(self, scene: Scene, *, user: int = 0) -> None:
        super().__init__(scene, scene.host_values)
        self._become = (
            ("setpriv", "--reuid", f"{user}", "--regid", f"{user}", "--clear-groups") if user else ()
        )

    def argv(self, *argv: str) -> list[str]:
        """In a copy of the host's mounts."""
        return [*_APART, *self._become, *argv]

    def as_user(self, user: int) -> HostArm:
        """The same for a user of the host."""
        return HostArm(self.scene, user=user)


class InitArm(Arm):
    """Root, or another user, as the init of a zone of its own."""

    def __init__(
        self, scene: Scene, base: str, keys: tuple[str, ...] = (), *, without: str = "", user: int = 0
    ) -> None:
        super().__init__(scene, scene.zone_values, keys=keys, without=without)
        self.base = base
        self._user = user

    def argv(self, *argv: str) -> list[str]:
        """By `run`."""
        keys = (*self.keys, *((f"user={self._user}:{self._user}",) if self._user else ()))
        sets = [word for key in keys for word in ("--set", key)]
        command = self.scene.command(self.without)
        return [*command, "run", "--no-tty", *sets, self.scene.file(self.base, self.keys), "--", *argv]

    def as_user(self, user: int) -> InitArm:
        """The same for a user of the zone."""
        return InitArm(self.scene, self.base, self.keys, without=self.without, user=user)

    def at(self, folder: str) -> InitArm:
        """The same in that folder."""
        keys = (*self.keys, f"workdir={folder}")
        return InitArm(self.scene, self.base, keys, without=self.without, user=self._user)


class ExecArm(Arm):
    """Root, or another user, by exec in the zone named."""

    def __init__(
        self,
        scene: Scene,
        zone: str,
        keys: tuple[str, ...] = (),
        *,
        user: int = 0,
        without: str = "",
        folder: str = "/",
    ) -> None:
        super().__init__(scene, scene.zone_values, keys=keys, without=without)
        self.zone = zone
        self._user = user
        self._folder = folder

    def argv(self, *argv: str) -> list[str]:
        """By `exec`."""
        options = ["--user", f"{self._user}:{self._user}", "--workdir", self._folder]
        return [*self.scene.command(), "exec", "--no-tty", *options, self.zone, "--", *argv]

    def as_user(self, user: int) -> ExecArm:
        """The same for another user of the zone."""
        return ExecArm(self.scene, self.zone, self.keys, user=user, without=self.without, folder=self._folder)

    def of(self, zone: str) -> ExecArm:
        """The same in another zone."""
        return ExecArm(
            self.scene, zone, self.keys, user=self._user, without=self.without, folder=self._folder
        )

    def at(self, folder: str) -> ExecArm:
        """The same in that folder."""
        return ExecArm(self.scene, self.zone, self.keys, user=self._user, without=self.without, folder=folder)


def read(done: Done) -> Outcome:
    """The verdict that a probe's program has printed, or that its end is."""
    if found := _VERDICT.search(done.out):
        word, errno, detail = found.groups()
        return Outcome(verdict=Verdict(word), errno=errno.removeprefix("-"), detail=detail)
    if done.code in {128 + 31, -31}:
        return Outcome(verdict=Verdict.HELD, errno="SIGSYS", detail="killed by the filter")
    msg = f"no verdict: exit status {done.code}\n{done.out}{done.err}"
    raise AssertionError(msg)


def refused(done: Done) -> bool:
    """Whether zonectl itself has refused to run the program."""
    return done.code == _FAILED and done.err.startswith("zonectl: ") and "internal error" not in done.err
