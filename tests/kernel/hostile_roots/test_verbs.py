"""Every verb on roots made to reach the host or to stall it: refused in a clear line, or resolved inside the zone.

One zone for each place and kind, through its whole life. `Cage.leave` sees that the zone can be deleted without
force once it has ended, that the canary was not so much as read, and that the host is as it was.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kernel.hostile_roots import zoo
from tests.kernel.runtime.world import REQUIRED
from zonectl.cli import portrait
from zonectl.runtime.copying import copy_in, copy_out
from zonectl.runtime.create import create
from zonectl.runtime.start import start
from zonectl.runtime.status import status
from zonectl.runtime.stop import stop

if TYPE_CHECKING:
    from tests.kernel.hostile_roots.cage import Cage
    from tests.kernel.runtime.world import Result

pytestmark = [pytest.mark.requires(*REQUIRED), pytest.mark.timeout(30)]

KERNELS = ("dev", "proc", "sys")
"""Places at which a running zone has a file system of the kernel's, which nobody copies whole."""


@pytest.mark.parametrize(("place", "kind"), zoo.COMBINATIONS)
def test_a_hostile_place_leads_nowhere(cage: Cage, place: str, kind: str) -> None:
    cage.spoil(place, kind)
    text = cage.text()
    cage.attempt("create", lambda: create(cage.world.context, cage.world.parse(text), text))
    assert not cage.refusals, "an overlay stands on any folder"
    _live_through(cage, place)
    listing = text.replace(f'["{zoo.COMMAND}", "1000"]', '["/busybox", "ls", "/", "/etc", "/srv"]')
    ran = cage.attempt("run", lambda: cage.world.run_text(listing))
    assert ran is None or _is_discreet(ran)


def _live_through(cage: Cage, place: str) -> None:
    world, name = cage.world, cage.name
    cage.attempt("start", lambda: start(world.context, name))
    portrait.take(world.context, name)
    live = status(world.context, name).live
    assert (live is None) == ("start" in cage.refusals)
    if live is None:
        return
    cage.assert_own(live.pid)
    assert _exec(cage, "ls", "/"), "whatever the root, a program in it can be executed"
    _exec(cage, "true", user="web:adm")
    cage.attempt("shell", lambda: world.execute(name=name, user="web"))
    _exec(cage, "timeout", "-s", "KILL", "0.1", "head", "-c", "4096", f"/{place}")
    _exec(cage, "ls", workdir=f"/{place}")
    _copy_in(cage, place)
    if not place.startswith(KERNELS):
        _copy_out(cage, place)
    cage.attempt("stop", lambda: stop(world.context, name))
    assert "stop" not in cage.refusals


def _exec(cage: Cage, *applet: str, user: str | None = None, workdir: str | None = None) -> bool:
    """Whether the applet was executed at all."""
    argv = ("/busybox", *applet)
    done = cage.attempt(
        f"exec {applet[0]}", lambda: cage.world.execute(*argv, name=cage.name, user=user, workdir=workdir)
    )
    return done is not None and _is_discreet(done)


def _is_discreet(result: Result) -> bool:
    assert zoo.SECRET not in result.out + result.err
    return True


def _copy_in(cage: Cage, place: str) -> None:
    context, name = cage.world.context, cage.name
    for source, target in (("file", f"/{place}"), ("folder", f"/{place}"), ("file", f"/{place}/new")):
        path = str(cage.given / source)
        cage.attempt(
            f"cp {source} to {target}",
            lambda path=path, target=target: copy_in(context, name, path, target=target),  # type: ignore[misc]
        )


def _copy_out(cage: Cage, place: str) -> None:
    context, name = cage.world.context, cage.name
    for number, source in enumerate((f"/{place}", f"/{place}/inner")):
        out = cage.given / f"out{number}"
        cage.attempt(
            f"cp of {source}",
            lambda source=source, out=out: copy_out(context, name, source, target=str(out)),  # type: ignore[misc]
        )
        assert not _holds_the_secret(out)


def _holds_the_secret(path: Path) -> bool:
    """Whether a file at or below the path does, no link followed; what an endless one begins with is enough."""
    if path.is_symlink():
        return False
    below = (Path(where) / name for where, _, names in os.walk(path) for name in names)
    return any(zoo.SECRET.encode() in _head(each) for each in (path, *below) if stat.S_ISREG(_mode(each)))


def _mode(path: Path) -> int:
    return path.lstat().st_mode if os.path.lexists(path) else 0


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4096)
