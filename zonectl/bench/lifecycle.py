"""How long the commands of a zone's life take, as a user types them: warm, by zoned, and cold, without it.

A round runs each of them once, in the order of a life. What comes before it is not timed: the same commands, so that a
zoned that was started anew is as warm as one that has been there. The page cache is warm throughout. Beside them stands
the floor: the least that a process takes, and that an interpreter takes.

A second zone is there meanwhile, as on most hosts: the first zone of an instance makes the bridge and the rules of all,
and the last one takes them along. What that costs is measured by itself, where there are no other zones.
"""

from __future__ import annotations

import re
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from zonectl.bench import deadline
from zonectl.bench.arms import BARE, ZONE
from zonectl.bench.commands import timed
from zonectl.bench.deadline import NEVER, TimeIsUpError
from zonectl.bench.guests import guests
from zonectl.bench.results import Missing, Series, WorkloadFacts
from zonectl.bench.sampling import Measured, Progress
from zonectl.errors import BenchError, CommandError, StoreError
from zonectl.kernel import command, proc
from zonectl.runtime.status import alive
from zonectl.store import records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from zonectl.bench.commands import Client
    from zonectl.bench.deadline import Deadline
    from zonectl.bench.guests import Guests
    from zonectl.model.config import ZoneConfig
    from zonectl.runtime.context import Context

GROUP: Final = "life cycle"
NOTHING: Final = "/bin/true"
"""What run and exec execute."""

_COLD: Final = "--no-daemon"
_ZONE, _FILE, _NEIGHBOUR = "{zone}", "{file}", "{neighbour}"
_RUNNING: Final = re.compile(rb"pid ([0-9]+)")
_STATUS_S: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """A command of the life cycle: `words` after zonectl, or a whole command line of the host where `bare`.

    Others need what has been done by one that is not `spare`.
    """

    facts: WorkloadFacts
    words: tuple[str, ...]
    bare: bool = False
    spare: bool = False

    @property
    def is_warm(self) -> bool:
        """Whether zoned does it."""
        return not self.bare and self.words[0] != _COLD


def name(verb: str, *, cold: bool = False) -> str:
    """What the verb's workload is called: a workload of the probe is named exec as well."""
    return f"zonectl {verb}, cold" if cold else f"zonectl {verb}"


def _facts(known_as: str, stresses: str) -> WorkloadFacts:
    return WorkloadFacts(name=known_as, group=GROUP, stresses=stresses, operation="command")


def _deed(verb: str, *words: str, stresses: str, cold: bool = False, spare: bool = False) -> Deed:
    given = (_COLD, verb, *words) if cold else (verb, *words)
    return Deed(facts=_facts(name(verb, cold=cold), stresses), words=given, spare=spare)


_WITHOUT: Final = "the same without zoned: an interpreter, and all that it imports"

FLOOR: Final = (
    Deed(
        facts=_facts("spawn", f"the least that a command takes: {NOTHING}"),
        words=(NOTHING,),
        bare=True,
        spare=True,
    ),
    Deed(
        facts=_facts("interpreter", "the least that one in Python takes: python3 -IS -c pass"),
        words=(sys.executable, "-IS", "-c", "pass"),
        bare=True,
        spare=True,
    ),
)
_STOP: Final = _deed("stop", _ZONE, stresses="the end of a zone, and of all that its start made")
_DELETE: Final = _deed("delete", "-f", _ZONE, stresses="a zone's files, ids and address given back")
LIFE: Final = (
    _deed("create", _FILE, stresses="a zone's folder, ids and address"),
    _deed("start", _ZONE, stresses="walls, network and program of a zone"),
    _deed("exec", _ZONE, "--", NOTHING, stresses="a program in a zone that runs", spare=True),
    _deed("exec", _ZONE, "--", NOTHING, stresses=_WITHOUT, cold=True, spare=True),
    _STOP,
    _DELETE,
    _deed("run", _FILE, "--", NOTHING, stresses="a zone from nothing to nothing", spare=True),
    _deed("run", _FILE, "--", NOTHING, stresses=_WITHOUT, cold=True, spare=True),
)
COLD_LIFE: Final = (
    _deed("create", _FILE, stresses=_WITHOUT, cold=True),
    _deed("delete", "-f", _ZONE, stresses=_WITHOUT, cold=True),
)
_FIRST, _LAST = "zonectl start, first", "zonectl delete, last"
ALONE: Final = (
    Deed(
        facts=_facts(_LAST, "the same of the only zone: what zones share goes with it"),
        words=("delete", "-f", _NEIGHBOUR),
        spare=True,
    ),
    Deed(
        facts=_facts(_FIRST, "the same of the only zone: what zones share is made"),
        words=("start", _ZONE),
        spare=True,
    ),
)
"""The second zone goes, before the first is created."""
COLD_START: Final = Deed(
    facts=_facts(name("start", cold=True), "a start that starts zoned first"), words=("start", _ZONE)
)
ALL: Final = (*FLOOR, *LIFE, COLD_LIFE[0], COLD_START, COLD_LIFE[1], *reversed(ALONE))
WORKLOADS: Final = tuple(each.facts for each in ALL)


def measure(
    context: Context,
    config: ZoneConfig,
    client: Client,
    *,
    rounds: int,
    time_up: Deadline = NEVER,
    tell: Callable[[Progress], None] = lambda _progress: None,
) -> Measured:
    """Measure the commands with zones made after `config`. After Ctrl-C, the rounds that are whole are there.

    So they are when the time is up: what it has taken is told as missing.

    What fails is missing, with the reason; the rest goes on as far as it does not need it.

    Raises:
        StoreError: nothing can be written.
        ConfigError: no zone can be made after it.

    """
    with guests(context, config, client) as ours:
        return _Measuring(context, client, ours, time_up=time_up).run(rounds, tell)


class _Measuring:
    """One run of `measure`; what it knows grows."""

    def __init__(self, context: Context, client: Client, ours: Guests, *, time_up: Deadline) -> None:
        self._context = context
        self._client = client
        self._ours = ours
        self._time_up = time_up
        self._zone, self._file = ours.announce("life")
        self._neighbour, self._neighbours_file = ours.announce("neighbour")
        self._rounds: list[dict[str, int]] = []
        self._lost: dict[str, str] = {}

    def run(self, rounds: int, tell: Callable[[Progress], None]) -> Measured:
        began, complete = time.monotonic(), True
        late: tuple[Missing, ...] = ()
        try:
            for number in range(rounds):
                spent = time.monotonic() - began
                left_s = spent * (rounds - number) / number if number else None
                left_s = self._time_up.bound(left_s)
                tell(Progress(workload=GROUP, done=number / rounds, left_s=left_s))
                self._rounds.append(self._round())
        except KeyboardInterrupt:
            complete = False
        except TimeIsUpError:
            done = len(self._rounds)
            late = (deadline.further(f"further rounds of the {GROUP}", done=done, wanted=rounds),)
        except _StuckError:
            pass
        missing = (*self._missing(), *late)
        return Measured(series=tuple(self._series()), missing=missing, complete=complete)

    def _round(self) -> dict[str, int]:
        self._have_neighbour()
        for deed in LIFE:
            if deed.is_warm:
                self._do(deed)  # so that all is warm
        found = dict(self._done((*FLOOR, *LIFE, COLD_LIFE[0])))
        found |= self._cold_start()
        found |= dict(self._done(COLD_LIFE[1:]))
        return found | self._alone()

    def _done(self, deeds: Iterable[Deed]) -> Iterator[tuple[str, int]]:
        for deed in deeds:
            if (taken := self._do(deed)) is not None:
                yield deed.facts.name, taken

    def _do(self, deed: Deed) -> int | None:
        """Nanoseconds; None where it fails, or has done so before."""
        if deed.facts.name in self._lost:
            return None
        self._time_up.watch()
        known = {_ZONE: self._zone, _FILE: self._file, _NEIGHBOUR: self._neighbour}
        words = [known.get(word, word) for word in deed.words]
        try:
            if deed.bare:
                return timed(words, self._client.environment)
            return self._client.time(*words)
        except BenchError as error:
            self._lost[deed.facts.name] = error.message
            if deed.spare:
                return None
            raise _StuckError from error

    def _cold_start(self) -> dict[str, int]:
        """Start the zone, which has been created, with no zoned there; it is stopped again."""
        if COLD_START.facts.name in self._lost:
            return {}
        try:
            self._end_zoned()
        except BenchError as error:
            self._lost[COLD_START.facts.name] = error.message
            return {}
        found = dict(self._done((COLD_START,)))
        self._do(_STOP)
        return found

    def _have_neighbour(self) -> None:
        if self._neighbour in records.list_names(self._context.paths):
            return
        self._time_up.watch()
        try:
            self._client.time("create", self._neighbours_file)
        except BenchError as error:
            self._lost[LIFE[0].facts.name] = error.message
            raise _StuckError from error

    def _alone(self) -> dict[str, int]:
        """Delete the last zone, and start the first; what both need is done beside."""
        if set(records.list_names(self._context.paths)) - self._ours.names:
            self._lost |= dict.fromkeys((_FIRST, _LAST), "other zones are here")
            return {}
        last, first = ALONE
        found = dict(self._done((last,)))
        self._do(LIFE[0])
        found |= dict(self._done((first,)))
        for deed in (_STOP, _DELETE):
            self._do(deed)
        return found

    def _end_zoned(self) -> None:
        """End zoned, if nobody needs it.

        Raises:
            BenchError: somebody does, or it does not end.

        """
        pid = self._zoned()
        if not self._is_alone():
            raise BenchError("other zones run here, and zoned watches them")
        if pid is None:
            return
        if "serve" in (proc.read(pid, "cmdline") or "").split("\0"):
            raise BenchError("zoned is a service here, which is not ended")
        self._client.time("zoned", "stop")

    def _zoned(self) -> int | None:
        """Its pid, if it runs."""
        argv = (*self._client.program, "zoned", "status")
        try:
            said = command.run(argv, timeout_s=_STATUS_S, env=self._client.environment).stdout
        except CommandError:
            return None
        found = _RUNNING.search(said)
        return int(found[1]) if found else None

    def _is_alone(self) -> bool:
        try:
            names = [each for each in records.list_names(self._context.paths) if each not in self._ours.names]
            return not any(alive(self._context, each) for each in names)
        except StoreError:  # of a damaged one nobody can tell
            return False

    def _series(self) -> Iterator[Series]:
        for deed in ALL:
            known_as, arm = deed.facts.name, (BARE if deed.bare else ZONE).name
            times = tuple((float(each[known_as]),) for each in self._rounds if known_as in each)
            if times:
                yield Series(workload=known_as, arm=arm, loops=1, rounds=times)

    def _missing(self) -> Iterator[Missing]:
        for known_as, reason in self._lost.items():
            yield Missing(name=known_as, reason=reason)


class _StuckError(Exception):
    """What the others need has failed."""
