"""All peers, by name."""

from __future__ import annotations

import difflib
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from zonectl.bench import site
from zonectl.bench.layers import base
from zonectl.bench.peers.containers import CONTAINERS, ContainerArm
from zonectl.bench.peers.machines import MACHINES, MachineArm
from zonectl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zonectl.bench.runner import Arm
    from zonectl.bench.site import Site

ALL: Final = "all"
NAMES: Final = (*(peer.name for peer in CONTAINERS), *(peer.name for peer in MACHINES))


def chosen(words: Sequence[str]) -> tuple[str, ...]:
    """The names of peers that the words ask for, in the catalogue's order; `all` is every one.

    Raises:
        UsageError: there is no such peer.

    """
    for word in words:
        if word != ALL and word not in NAMES:
            near = difflib.get_close_matches(word, (*NAMES, ALL), n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(NAMES)}"
            raise UsageError(f"--against: no peer is called {word!r}", hint=hint)
    return tuple(name for name in NAMES if ALL in words or name in words)


def programs(names: Sequence[str]) -> tuple[str, ...]:
    """The programs of those peers, whose versions belong to a run."""
    return tuple(peer.program for peer in (*CONTAINERS, *MACHINES) if peer.name in names)


@contextmanager
def arms(here: Site, names: Sequence[str], *, kernel: str | None) -> Iterator[list[Arm]]:
    """The arms of those peers, which can be started as long as the block lasts.

    Raises:
        ZonectlError: the root of the containers among them cannot be made.

    """
    with site.standing(here.context, here.config) as standing:
        containers = [peer for peer in CONTAINERS if peer.name in names]
        root = _root(here, standing.folder) if containers else ""
        machines = [peer for peer in MACHINES if peer.name in names]
        yield [
            *(ContainerArm(here, peer, base=root) for peer in containers),
            *(MachineArm(here, peer, kernel=kernel) for peer in machines),
        ]


def _root(here: Site, folder: str) -> str:
    """A copy of the zone's root, with a /usr: without one, systemd-nspawn takes it for none."""
    root = base.make(here, folder)
    usr = f"{root}/usr"
    # What else the root may have there is not followed, and nobody's business here.
    with site.making(usr), suppress(FileExistsError):
        os.mkdir(usr)
    return root
