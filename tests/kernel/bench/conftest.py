"""The probe, compiled once; and an instance of the test's own, with what the arms of a run have in common."""

from __future__ import annotations

import itertools
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.kernel.runtime.world import World, make_root, unwatched
from zonectl.bench import site
from zonectl.bench.probe import build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from zonectl.bench.site import Site

    Sites = Callable[..., AbstractContextManager[Site]]

_NUMBERS = itertools.count(os.getpid() * 13)


@pytest.fixture(scope="session")
def probe_program(tmp_path_factory: pytest.TempPathFactory) -> str:
    return build.probe(str(tmp_path_factory.mktemp("probe")))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An instance of the test's own, which must be as it was in the end."""
    make_root(tmp_path / "root")
    made = World(folder=tmp_path, number=next(_NUMBERS))
    made.context.paths.ensure()
    before = made.footprint()
    try:
        yield made
    finally:
        made.clean()
    made.becomes(before, save="files")
    assert made.shared() == []


@pytest.fixture
def sites(world: World, probe_program: str) -> Sites:
    """A place for a run, of the zone file that `World.text` makes of the same wishes."""

    @contextmanager
    def make(**wishes: str | bool) -> Iterator[Site]:
        context = unwatched(world)
        config = world.parse(world.text(**wishes))  # type: ignore[arg-type]
        processor = max(os.sched_getaffinity(0))
        with site.standing(context, config) as standing:
            bind = site.make_folder(f"{standing.folder}/bind")
            fitted = site.fitted(config, probe=probe_program, bind=bind, processor=processor)
            yield site.Site(
                context=context, config=fitted, probe=probe_program, bind=bind, processor=processor
            )

    return make
