"""What a wish comes to before anything is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from zonectl.bench.peers.containers import CONTAINERS
from zonectl.bench.peers.machines import MACHINES
from zonectl.bench.run import DEFAULT_ZONE, FULL, OLDER, QUICK, Wish, effort_of
from zonectl.config import parse

if TYPE_CHECKING:
    from zonectl.bench.sampling import Effort

ZONE = parse(DEFAULT_ZONE, file="default", folder="/")


def young(effort: Effort, *against: str) -> int:
    return effort_of(Wish(config=ZONE, workloads=(), effort=effort, against=against)).young


@pytest.mark.parametrize("effort", [FULL, QUICK])
def test_processes_grow_older_only_beside_machines_that_boot(effort: Effort) -> None:
    containers = [peer.name for peer in CONTAINERS]
    assert young(effort) == effort.young
    assert young(effort, *containers) == effort.young
    for machine in MACHINES:
        assert young(effort, machine.name) == OLDER
        assert young(effort, *containers, machine.name) == OLDER
