"""Probes of terminals, of the environment, and of what reaches processes of the host's."""

from __future__ import annotations

import socket
from contextlib import closing
from typing import TYPE_CHECKING

from tests.e2e.instance import Done
from tests.e2e.terminal import Terminal
from tests.hostile.arms import read
from tests.hostile.groups.keys import HOST_NET, NO_FILTER, POWERFUL
from tests.hostile.probe import Group, Outcome, Probe, Removal, named

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.hostile.arms import Arm

_OWN = "the zone's own processes: no other has a number"


def _on_a_terminal(word: str, *, given: bool) -> Callable[[Arm], Outcome]:
    """Try it below a terminal of the caller's; `given`: the zone's program has one of its own."""

    def attempt(arm: Arm) -> Outcome:
        words = arm.argv(f"{arm.values['programs']}/terminal", word)
        words = ["--tty" if each == "--no-tty" and given else each for each in words]
        program = arm.scene.resolved(words[0])
        with closing(Terminal([program, *words[1:]], arm.environment)) as terminal:
            said = terminal.rest()
        return read(Done(0, said.replace("\r", "").encode(), b""))

    return attempt


def _variable(arm: Arm) -> Outcome:
    return arm.probe(
        "terminal",
        "variable",
        "SECRET_OF_THE_CALLER",
        env={**arm.environment, "SECRET_OF_THE_CALLER": "yes"},
    )


def _abstract(arm: Arm) -> Outcome:
    name = f"probe-{arm.values['token']}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{name}")
        listener.listen()
        return arm.probe("terminal", "abstract", name)


def _probe(name: str, source: str, attempt: Callable[[Arm], Outcome], *, protection: str, keys: tuple[str, ...] = (),
           errnos: frozenset[str] | None = None, harnessed: str = "") -> Probe:  # fmt: skip
    return Probe(
        name=name,
        group=Group.TERMINAL,
        source=source,
        attempt=attempt,
        errnos=errnos if errnos is not None else named(),
        protection=protection,
        removal=Removal(keys=keys, harnessed=harnessed),
    )


def _process(name: str, source: str, program: str, *words: str, keys: tuple[str, ...] = POWERFUL) -> Probe:
    return _probe(
        name,
        source,
        lambda arm: arm.probe(program, *words),
        protection=_OWN,
        keys=keys,
        errnos=named("ESRCH", "ENOENT"),
        harnessed="own-processes",
    )


PROBES = (
    _probe("tiocsti", "CVE-2017-5226: what is typed at the caller's shell", _on_a_terminal("tiocsti", given=True),
           protection="the filter of system calls", keys=(NO_FILTER,), errnos=named("EIO")),
    _probe("tiocsti-high", "CVE-2019-10063: the same with more bits", _on_a_terminal("tiocsti-high", given=True),
           protection="the filter of system calls", keys=(NO_FILTER,), errnos=named("EIO")),
    _probe("tioclinux", "CVE-2023-28100: the console's clipboard", _on_a_terminal("tioclinux", given=True),
           protection="the filter of system calls", keys=(NO_FILTER,)),
    _probe("controlling-terminal", "the terminal of whoever called", _on_a_terminal("controlling", given=False),
           protection="a session of the zone's own", errnos=named("ENXIO"), harnessed="own-session"),
    _probe("environment", "the caller's secrets", _variable, protection="nothing but what is declared",
           errnos=named("ENOENT"), harnessed="own-environment"),
    _probe("abstract-socket", "CVE-2020-15257: sockets without a file", _abstract,
           protection="the zone's own network", keys=(HOST_NET,), errnos=named("ECONNREFUSED")),
    _process("signal", "processes of the host's killed", "surface", "signal", "{pid}"),
    _process("ptrace", "processes of the host's made to do something else", "surface", "ptrace", "{pid}"),
    _process("read-memory", "their memory", "surface", "read-memory", "{pid}", "{address}"),
    _process("pidfd", "their descriptors", "surface", "pidfd", "{pid}"),
    _process("priority", "their share of the processors", "surface", "priority", "{pid}"),
    _process("join", "their namespaces", "surface", "join", "{pid}", "uts"),
    _process("process-root", "their files, as root finds them", "filesystem", "process-root", "{canary}"),
    _process("process-cwd", "CVE-2024-21626: their folders", "filesystem", "process-cwd", "canary"),
)  # fmt: skip
