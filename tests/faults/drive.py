"""One fault after the other: each command, in each role, at each point; what came of it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from tests.e2e.instance import COMMAND, Done
from tests.faults import calls, processes, strace, witness
from tests.faults.scene import SCENES, VICTIM

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.e2e.instance import Zonectl
    from tests.faults.calls import Point
    from tests.faults.scene import Scene
    from tests.faults.witness import Sight

_Any = TypeVar("_Any")

ROLES = ("command", "client", "worker", "init", "zoned")
"""Whose calls: the command's without zoned and all that it forks and executes; the client's; the worker's; those of
what the worker forks, which is the zone's init or who enters a zone, up to their program; zoned's with those of what it
forks meanwhile: workers, and those who clear up when a zone has ended.
"""

PATIENCE_S = 20.0
SETTLES_S = 1.0
_HANGS_S = 40
_NO_INTERPRETER = "Python runtime state: core initialized"
_ATTEMPTS = 5
_ZONED_LOGGER_WORKER = 3
_GLANCE_S = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of one fault. `struck`: it came to pass at all."""

    verb: str
    role: str
    point: Point
    struck: bool
    leaks: tuple[str, ...] = ()
    lies: tuple[str, ...] = ()


@dataclass
class Driver:
    """Throws faults at commands of an instance in which a neighbour zone runs. `work` is a folder for traces."""

    z: Zonectl
    work: Path
    baseline: Sight = field(init=False)

    def __post_init__(self) -> None:
        self.z.define(witness.NEIGHBOUR, "exec sleep 1000000")
        self.z("start", witness.NEIGHBOUR)
        self.rest()

    def rest(self) -> None:
        """Take what is there now as what is to be there after each fault."""
        self._zoned()
        self.baseline = witness.look(self.z)

    def points(self, scene: Scene, role: str) -> list[Point]:
        """The calls of the command in that role that change something: points to be killed at."""
        log = self.work / "trace"
        for _ in range(2):  # the first one of its kind fills caches
            scene.prepare(self.z)
            log.unlink(missing_ok=True)
            done = self._perform(scene, role, None, log)
            self._reset()
            if done.code != 0:
                raise RuntimeError(f"{scene.verb} fails when it is only traced: {done.err}")
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        return calls.kills(strace.before_a_program(lines) if role == "init" else lines)

    def throw(self, scene: Scene, role: str, point: Point) -> Verdict:
        """Throw one fault, and see what comes of it."""
        log = self.work / "fault"
        log.unlink(missing_ok=True)
        lies: list[str] = []
        leaks: list[str] = []
        try:
            scene.prepare(self.z)
            done = self._perform(scene, role, point, log)
            lies = self._lies(scene, done)
            leaks = self._clean()
        except strace.NotAttachedError:  # not reached
            self._reset()
        except (AssertionError, RuntimeError) as error:
            lies.append(str(error))
            self._reset()
        return Verdict(
            verb=scene.verb,
            role=role,
            point=point,
            struck=strace.struck(log, point),
            leaks=tuple(leaks),
            lies=tuple(lies),
        )

    def _perform(self, scene: Scene, role: str, point: Point | None, log: Path) -> Done:
        words = scene.words(self.z)
        if role in {"command", "client"}:
            cold = ["--no-daemon"] if role == "command" else []
            traced = strace.words(log, point, follow=role == "command")
            return _run(self.z, [*traced, COMMAND, *cold, *words])
        if role == "init":
            return self._perform_inside([COMMAND, *words], point, log)
        with self._attached(role, point, log):
            done = _run(self.z, [COMMAND, *words])
            processes.calm(self.z)
        return done

    def _perform_inside(self, argv: list[str], point: Point | None, log: Path) -> Done:
        """Run the command, with what its worker forks traced as soon as that waits for the worker.

        strace counts the calls of each process on its own and could not tell init's from the worker's, which come
        first: so the worker is not traced, but stands still behind its clone3(2) until strace is there. What it has
        started has made the process by then that waits for the worker, and has ended.
        """
        _, *workers = self._zoned()
        before = {worker: processes.children(worker) for worker in workers}

        def born() -> tuple[int, int] | None:
            found = ((worker, processes.children(worker) - before[worker]) for worker in workers)
            return next(((worker, min(new)) for worker, new in found if new), None)

        with ExitStack() as stack:
            stack.enter_context(strace.slow_to_clone(workers, self.work / "slow.said"))
            client = stack.enter_context(_Command(self.z, argv))
            while not (pair := born()) and client.runs:
                time.sleep(_GLANCE_S)
            if pair:
                worker, init = pair
                os.kill(worker, signal.SIGSTOP)
                try:
                    # The first that an exec starts ends when it has made the next.
                    while not processes.wait_asleep(init):
                        init = min(processes.children(worker) - before[worker], default=init)
                    # It executes zonectl-entry; what that executes is not looked at (`points`).
                    stack.enter_context(strace.attached([init], log, point, follow=True, programs=True))
                finally:
                    os.kill(worker, signal.SIGCONT)
            done = client.done()
            processes.calm(self.z)
        return done

    @contextmanager
    def _attached(self, role: str, point: Point | None, log: Path) -> Iterator[None]:
        """Trace zoned and its children to come, or all its workers, since any of them may get the client."""
        with ExitStack() as stack:
            for attempt in range(_ATTEMPTS):
                zoned, *workers = self._zoned()
                pids = [zoned] if role == "zoned" else workers
                try:
                    stack.enter_context(strace.attached(pids, log, point, follow=role == "zoned"))
                    break
                except strace.NotAttachedError:  # zoned has sent one of them home meanwhile
                    if attempt + 1 == _ATTEMPTS:
                        raise
            yield

    def _zoned(self) -> list[int]:
        """The pids of zoned, which is up, and of its workers, one of which at least waits for a client."""
        while len(pids := processes.calm(self.z)) < _ZONED_LOGGER_WORKER:
            self.z("start", witness.NEIGHBOUR, code=None)
        return pids

    def _lies(self, scene: Scene, done: Done) -> list[str]:
        found = []
        if done.code == 0:
            state = witness.state(self.z)
            if not scene.holds(done, state):
                found.append(f"exits with 0, but the zone is {state}, and says {done.out!r}")
        # The interpreter that cannot even find its modules says so in its own way; nothing of ours has run then.
        if ("Traceback" in done.err or "internal error" in done.err) and _NO_INTERPRETER not in done.err:
            found.append(f"a traceback: {done.err[-500:]}")
        return found + _patiently(lambda: witness.lies(self.z))

    def _clean(self) -> list[str]:
        """Delete the victim by force, then gc where something is left, then delete it again; what is left then."""
        self._delete(codes=(0, 4))
        left = _patiently(self._left, patience_s=SETTLES_S)
        if left:
            self.z("gc", "-f")
            left = _patiently(self._left)
        self._delete(codes=(4,))
        if left:
            self._reset()
        return left

    def _left(self) -> list[str]:
        return self.baseline.left(witness.look(self.z))

    def _delete(self, *, codes: tuple[int, ...]) -> None:
        done = self.z("delete", "-f", VICTIM, code=None)
        if done.code not in codes:
            raise RuntimeError(f"delete -f exits with {done.code}: {done.err}")
        for name in self.z.list():  # what is left of a run that was killed
            if name not in {VICTIM, witness.NEIGHBOUR}:
                self.z("delete", "-f", name, code=None)

    def _reset(self) -> None:
        """Back to where the next fault begins, by all means; what is still left then is the new ground."""
        self.z("delete", "-f", VICTIM, code=None)
        for name, zone in self.z.list().items():
            if name != witness.NEIGHBOUR:
                self.z("delete", "-f", name, code=None)
            elif zone["state"] != "running":
                self.z("start", name, code=None)
        if _patiently(self._left):
            self.rest()


class _Command(subprocess.Popen[bytes]):
    """A command that runs."""

    def __init__(self, z: Zonectl, argv: list[str]) -> None:
        pipe, null = subprocess.PIPE, subprocess.DEVNULL
        super().__init__(argv, env=z.environment, stdin=null, stdout=pipe, stderr=pipe)

    @property
    def runs(self) -> bool:
        """Whether it has not ended yet."""
        return self.poll() is None

    def done(self) -> Done:
        """How it ends.

        Raises:
            RuntimeError: it does not.

        """
        try:
            out, err = self.communicate(timeout=_HANGS_S)
        except subprocess.TimeoutExpired:
            self.kill()
            self.communicate()
            raise RuntimeError(f"hangs for {_HANGS_S} s") from None
        return Done(self.returncode, out, err)


def _run(z: Zonectl, argv: list[str]) -> Done:
    with _Command(z, argv) as command:
        return command.done()


def _patiently(look: Callable[[], list[str]], *, patience_s: float = PATIENCE_S) -> list[str]:
    """What `look` still finds when the kernel and zoned have had their time."""
    deadline = time.monotonic() + patience_s
    while (found := look()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def sample(points: list[_Any], count: int, chance: random.Random) -> list[_Any]:
    """So many of the points at most, in order."""
    chosen = sorted(chance.sample(range(len(points)), min(count, len(points))))
    return [points[number] for number in chosen]


def every(driver: Driver, verbs: list[str], roles: list[str]) -> Iterator[tuple[Scene, str, list[Point]]]:
    """Each command in each role that it has, with its points."""
    for verb in verbs:
        scene = SCENES[verb]
        for role in roles:
            if (role == "command" and not scene.cold) or (role == "init" and not scene.forks):
                continue
            yield scene, role, driver.points(scene, role)
