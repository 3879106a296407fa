"""What `show` finds out about a zone that runs, when somebody has been at the host meanwhile."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.kernel.runtime.world import REQUIRED, World, make_root
from zonectl.cli import portrait
from zonectl.model.instance import link_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.requires(*REQUIRED, "bridge", "veth", "nft", "program:ip")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An instance of the test's own."""
    make_root(tmp_path / "root")
    made = World(folder=tmp_path, number=os.getpid() * 7 + 3)
    made.context.paths.ensure()
    try:
        yield made
    finally:
        made.clean()


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def test_a_connection_that_is_whole_needs_no_hint(world: World) -> None:
    world.started(net=True)
    taken = portrait.take(world.context, "web")
    assert (taken.degraded, taken.hints) == ((), ())


def test_what_is_missing_of_the_connection_is_told(world: World) -> None:
    record = world.started(net=True)
    ip("link", "set", link_name(record.id), "nomaster")
    assert portrait.take(world.context, "web").degraded == ("its link is on no bridge",)
    ip("link", "del", link_name(record.id))
    assert portrait.take(world.context, "web").degraded == ("its link is gone",)


def test_a_zone_without_a_link_of_its_own_misses_none(world: World) -> None:
    world.started()
    taken = portrait.take(world.context, "web")
    assert (taken.degraded, taken.hints) == ((), ())
