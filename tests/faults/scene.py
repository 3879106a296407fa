"""The commands that faults are thrown at: what each stands on, and what it claims when it exits with 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.patience import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.instance import Done, Zonectl

VICTIM = "victim"
PONG = "pong"

_COMMAND = "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One command. `prepare` brings the victim to where `words` make sense; `claim` is what an exit with 0 says.

    `claim` is the state that the victim is then in; "" for none, where the standard output is to be PONG. `cold` says
    whether the command can do its work without zoned, `forks` whether its worker forks something that goes into a zone.
    """

    verb: str
    words: Callable[[Zonectl], list[str]]
    prepare: Callable[[Zonectl], None]
    claim: str
    cold: bool = True
    forks: bool = False

    def holds(self, done: Done, state: str) -> bool:
        """Whether what an exit with 0 claims is so."""
        return state == self.claim if self.claim else done.out.strip() == PONG


def file(z: Zonectl) -> str:
    """The victim's zone file."""
    text = f'name = "{VICTIM}"\ncommand = ["/bin/sh", "-c", "{_COMMAND}"]\nroot = {{ image = "busybox" }}\n'
    return z.write(VICTIM, text)


def _nothing(_z: Zonectl) -> None:
    pass


def _created(z: Zonectl) -> None:
    z("create", file(z))


def _started(z: Zonectl) -> None:
    _created(z)
    z("start", VICTIM)
    # A shell that has not set its trap yet would be killed only after the zone's timeout.
    until(lambda: "sleep" in z("exec", VICTIM, "--", "ps").out)


SCENES = {
    scene.verb: scene
    for scene in (
        Scene(verb="create", words=lambda z: ["create", file(z)], prepare=_nothing, claim="installed"),
        Scene(
            verb="run",
            words=lambda z: ["run", *z.sets, "busybox", "--", "echo", PONG],
            prepare=_nothing,
            claim="",
            forks=True,
        ),
        Scene(
            verb="start",
            words=lambda _: ["start", VICTIM],
            prepare=_created,
            claim="running",
            cold=False,
            forks=True,
        ),
        Scene(
            verb="exec",
            words=lambda _: ["exec", VICTIM, "--", "echo", PONG],
            prepare=_started,
            claim="",
            forks=True,
        ),
        Scene(verb="stop", words=lambda _: ["stop", VICTIM], prepare=_started, claim="installed"),
        Scene(
            verb="restart",
            words=lambda _: ["restart", VICTIM],
            prepare=_started,
            claim="running",
            cold=False,
            forks=True,
        ),
        Scene(verb="delete", words=lambda _: ["delete", "-f", VICTIM], prepare=_started, claim="absent"),
    )
}
