"""The whole course of learning: watch, take capabilities away, take system calls away, verify.

What counts as success is decided once, by the first two runs, and then holds for all: the exit status must be the
expected one, and the standard output must be that of the first run, where the first two runs had the same.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeAlias

from zonectl.errors import ZonectlError
from zonectl.model import capabilities
from zonectl.model.seccomp import Filter
from zonectl.runtime.learning import search
from zonectl.runtime.learning.recording import Recorder
from zonectl.runtime.learning.trial import Outcome, attempt
from zonectl.runtime.remains import teardown_when_last
from zonectl.security.seccomp import architectures, compiler, observed
from zonectl.security.seccomp.files import NEEDED
from zonectl.security.seccomp.observed import Permission

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from zonectl.model.config import ZoneConfig
    from zonectl.runtime.context import Context
    from zonectl.security.seccomp.observed import Seen
    from zonectl.security.seccomp.profile import Profile

WATCHED_RUNS: Final = 2
MORE_WATCHED_RUNS: Final = 3
"""So often a workload is watched again that called something new when it was held to what it had called before."""
_SLOWER: Final = 4.0
_GRACE_S: Final = 2.0
"""A run is given up after `_SLOWER` times what the watched ones took, and `_GRACE_S`: a refused call may hang it."""

Part: TypeAlias = "str | Permission"
"""What can be taken away: a capability, by its name, or the permission to make a call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What is to be learned from: the zone, and what its workload's success is.

    `within` is the profile that the zone file asks for: nothing is learned that it refuses. `tell` is told of the
    progress, in words. For the rest see `zonectl learn --help`.
    """

    config: ZoneConfig
    within: Profile
    tell: Callable[[str], None]
    stdin: int | None = None
    show: int | None = None
    timeout_s: float = 60.0
    status: int = 0
    compare_output: bool = True
    quick: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What a workload needs.

    `idle` are calls that it makes and whose refusal changes nothing that is compared, `spared` those that are left to
    it although that may be true of them (`observed.spared`).
    `tried` is whether each part was taken away on trial; `output` whether the standard output was compared. `foreign`
    tells in words of calls that no profile can allow.
    """

    capabilities: tuple[str, ...]
    profile: Profile
    calls: tuple[Permission, ...]
    idle: tuple[Permission, ...]
    spared: tuple[Permission, ...]
    foreign: tuple[str, ...]
    seen: tuple[Seen, ...]
    runs: int
    tried: bool
    output: bool


def learn(context: Context, lesson: Lesson) -> Learned:
    """Learn what the workload of `lesson` needs.

    Raises:
        ZonectlError: it does not succeed as it is, or behaves differently each time; or as `run`.

    """
    try:
        return _Course(context, lesson).run()
    finally:
        teardown_when_last(context)


class _Course:
    """One course; what it knows grows."""

    def __init__(self, context: Context, lesson: Lesson) -> None:
        self._context = context
        self._lesson = lesson
        self._architecture = architectures.native()
        self._seen: tuple[Seen, ...] = ()
        self._outcomes: list[Outcome] = []
        self._runs = 0

    def run(self) -> Learned:
        granted = capabilities.names(self._lesson.config.granted.granted)
        for _ in range(WATCHED_RUNS):
            self._watch()
        calls = self._made(granted)
        kept = self._needed(granted, calls)
        self._verify(kept)
        needed = tuple(call for call in calls if call in kept)
        return Learned(
            capabilities=tuple(name for name in granted if name in kept),
            profile=self._profile(needed),
            calls=needed,
            idle=tuple(call for call in calls if call not in kept),
            spared=tuple(filter(observed.spared, calls)),
            foreign=observed.foreign(self._seen, self._architecture),
            seen=self._seen,
            runs=self._runs,
            tried=not self._lesson.quick,
            output=self._compares_output(),
        )

    def _watch(self) -> None:
        """Run the workload as its zone file has it, and note what it calls."""
        lesson, first = self._lesson, not self._outcomes
        self._runs += 1
        lesson.tell(f"run {self._runs}: watching its system calls")
        with ExitStack() as held:
            recorder = held.enter_context(Recorder(observed.telling(self._architecture)))
            outcome = attempt(
                self._context,
                lesson.config,
                stdin=lesson.stdin,
                timeout_s=lesson.timeout_s,
                show=lesson.show if first else None,
                recorder=recorder,
            )
            # Of a lost watcher the workload's end says nothing.
            seen = () if outcome.late else recorder.seen()
            self._must_have_succeeded(outcome)
            self._seen += seen
        self._outcomes.append(outcome)

    def _must_have_succeeded(self, outcome: Outcome) -> None:
        if outcome.late:
            hint = "give it more time with --timeout, or a workload that ends"
            raise ZonectlError(f"the workload has not ended within {self._lesson.timeout_s:g} s", hint=hint)
        if outcome.status.code != self._lesson.status:
            again = " when it was run again" if self._outcomes else ""
            hint = "it must succeed before anything can be taken away; --status N if that is its success"
            raise ZonectlError(f"the workload has ended with {outcome.status.code}{again}", hint=hint)

    def _made(self, granted: tuple[str, ...]) -> tuple[Permission, ...]:
        """The calls that it makes: with these alone it succeeds."""
        for _ in range(MORE_WATCHED_RUNS):
            calls = tuple(
                call
                for call in observed.permissions(self._seen, self._architecture)
                if call.name not in NEEDED
            )
            if self._passes(frozenset((*granted, *calls))):
                return calls
            self._watch()
        raise ZonectlError(
            "the workload fails when it is held to what it was seen to call",
            hint="it may call something else each time, or use a filter of its own; see zonectl help learn",
        )

    def _needed(self, granted: tuple[str, ...], calls: tuple[Permission, ...]) -> frozenset[Part]:
        """What of both must stay: of the calls all, if it is to be quick, or only some may be taken away."""
        tried = tuple(call for call in calls if not (self._lesson.quick or observed.spared(call)))
        always = frozenset(calls).difference(tried)
        return always.union(search.least([granted, tried], lambda parts: self._passes(parts | always)))

    def _verify(self, kept: frozenset[Part]) -> None:
        """One run more, as its user will run it: what passed once by chance is not to be printed."""
        if not self._passes(kept):
            hint = "make it do the same each time, or see zonectl learn --ignore-output"
            raise ZonectlError("the workload has failed with what it had succeeded with", hint=hint)

    def _passes(self, parts: frozenset[Part]) -> bool:
        """Whether the workload succeeds with these capabilities and calls, and nothing else."""
        held = tuple(part for part in parts if isinstance(part, str))
        calls = tuple(part for part in parts if not isinstance(part, str))
        self._runs += 1
        self._lesson.tell(f"run {self._runs}: with {len(held)} capabilities and {len(calls)} system calls")
        try:
            outcome = attempt(
                self._context,
                _with_capabilities(self._lesson.config, held),
                stdin=self._lesson.stdin,
                timeout_s=self._patience_s(),
                seccomp=self._filter(self._profile(calls)),
            )
        except ZonectlError:
            # Without what zonectl itself needs to execute a program there is no workload.
            return False
        return self._is_success(outcome)

    def _is_success(self, outcome: Outcome) -> bool:
        if outcome.late or outcome.status.code != self._lesson.status:
            return False
        return not self._compares_output() or outcome.output == self._outcomes[0].output

    def _compares_output(self) -> bool:
        return self._lesson.compare_output and len({outcome.output for outcome in self._outcomes}) == 1

    def _patience_s(self) -> float:
        slowest = max(outcome.took_s for outcome in self._outcomes)
        return min(self._lesson.timeout_s, _GRACE_S + _SLOWER * slowest)

    def _profile(self, calls: Collection[Permission]) -> Profile:
        """What zonectl itself needs is in every profile."""
        own = {*map(Permission, NEEDED), *([Permission("execveat")] if self._lesson.config.init else [])}
        return observed.profile(self._lesson.config.name, own | {*calls}, within=self._lesson.within)

    def _filter(self, profile: Profile) -> Filter:
        program = compiler.compile_profile(profile, self._architecture)
        return Filter(
            name=profile.name, digest=profile.digest, program=program, no_new_privs=profile.no_new_privs
        )


def words(config: ZoneConfig, held: tuple[str, ...]) -> tuple[str, ...]:
    """The value of `capabilities` that grants `held` to the zone of `config`.

    Root is granted each by its name. Another user would then have them from the start (ambient), which the zone file
    did not ask for: what the zone file says stays, with the rest taken out.
    """
    if config.user.partition(":")[0] in {"root", "0"}:
        return held or ("none",)
    taken = set(capabilities.names(config.granted.granted)).difference(held)
    said = tuple(word for word in config.security.capabilities if word not in taken)
    left = capabilities.names(capabilities.grant(said, manages=config.manages_system).granted)
    return (*said, *(f"!{name}" for name in left if name in taken)) if held else ("none",)


def _with_capabilities(config: ZoneConfig, held: tuple[str, ...]) -> ZoneConfig:
    return replace(config, security=replace(config.security, capabilities=words(config, held)))
