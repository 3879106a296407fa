"""Which verbs there are. Their modules are imported when they are used."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from zonectl.errors import UsageError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterable

    from zonectl.cli.setting import Setting


class Module(Protocol):
    """What every module of `zonectl.cli.verbs` has."""

    DESCRIPTION: str
    EXAMPLES: str

    def arguments(self, parser: ArgumentParser) -> None:
        """Declare what the verb takes; `parser.set_defaults(check=…)` for what several arguments say together."""

    def run(self, options: Namespace, setting: Setting) -> int:
        """Do it; gives the exit status.

        Raises:
            ZonectlError: it failed.

        """


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb as the overview shows it.

    `privileged`: it needs root, which is checked before anything else. `reads`: it needs to read the state, which is
    root's as a rule. `foreground`: its status is a program's, and zonectl's own failures are 125 to 127.
    """

    group: str
    summary: str
    privileged: bool = False
    reads: bool = False
    foreground: bool = False


_DESCRIBE, _RUN, _LOOK, _HOST = "describe and create", "run", "look", "host"

VERBS: dict[str, Verb] = {
    "verify": Verb(_DESCRIBE, "check zone files, and tell everything that is wrong with them"),
    "schema": Verb(_DESCRIBE, "print the JSON Schema of the zone file"),
    "plan": Verb(_DESCRIBE, "show every step of a start, without taking any"),
    "seccomp": Verb(_DESCRIBE, "show profiles of system calls, and what they compile to"),
    "create": Verb(_DESCRIBE, "create zones from their files", privileged=True),
    "delete": Verb(_DESCRIBE, "delete zones and their files", privileged=True),
    "learn": Verb(_DESCRIBE, "find out what a workload needs, by taking away", privileged=True),
    "image": Verb(_DESCRIBE, "build, import, list, verify and remove images"),
    "run": Verb(_RUN, "run a program in a zone that is gone afterwards", privileged=True, foreground=True),
    "ready": Verb(_RUN, "bring the platform of zones up, with no program in it yet", privileged=True),
    "start": Verb(_RUN, "start zones, after those that they depend on", privileged=True),
    "exec": Verb(_RUN, "run a program in a running zone", privileged=True, foreground=True),
    "shell": Verb(_RUN, "open a login shell in a running zone", privileged=True, foreground=True),
    "stop": Verb(_RUN, "stop zones, before those that they depend on", privileged=True),
    "kill": Verb(_RUN, "send a signal to the init of zones", privileged=True),
    "restart": Verb(_RUN, "stop zones that run, then start them", privileged=True),
    "pause": Verb(_RUN, "freeze every process of zones", privileged=True),
    "resume": Verb(_RUN, "let paused zones go on", privileged=True),
    "repair": Verb(_RUN, "put back what somebody took away from running zones", privileged=True),
    "cp": Verb(_RUN, "copy files into a zone and out of it", privileged=True),
    "list": Verb(_LOOK, "list zones and their states", reads=True),
    "show": Verb(_LOOK, "show all that is known about a zone", reads=True),
    "logs": Verb(_LOOK, "show what a zone has written", reads=True),
    "wait": Verb(_LOOK, "wait until a zone has ended", reads=True),
    "doctor": Verb(_HOST, "try what zones need of this host, and name the remedies"),
    "bench": Verb(_HOST, "measure what isolation costs, against bare metal"),
    "gc": Verb(_HOST, "remove what killed commands have left", privileged=True),
    "help": Verb(_HOST, "explain a verb"),
    "completion": Verb(_HOST, "print a script that completes commands in a shell"),
}

GROUPS = (_DESCRIBE, _RUN, _LOOK, _HOST)


def find(name: str) -> Verb:
    """The verb of that name.

    Raises:
        UsageError: there is none; says which one may have been meant.

    """
    if name in VERBS:
        return VERBS[name]
    raise UsageError(f"there is no verb {name!r}{did_you_mean(name, VERBS)}", hint="see zonectl --help")


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """What to say to someone who wrote `word`, which is none of `words`; empty where none is near."""
    from zonectl.config.nearest import nearest  # a third of a cold list's time, and only a mistake needs it

    meant = nearest(word, words)
    return f" (did you mean {meant}?)" if meant else ""


def load(name: str) -> Module:
    """The module of a verb."""
    return cast("Module", importlib.import_module(f"zonectl.cli.verbs.{name}"))
