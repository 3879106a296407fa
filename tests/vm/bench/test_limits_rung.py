"""The rung of limits, which only a kernel with controllers of version 2 can have."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kernel.bench.portrait import Portrait, portray
from tests.kernel.runtime.world import make_root
from zonectl import config as zone_files
from zonectl.bench import layers, site
from zonectl.bench.layers.catalogue import HARMLESS
from zonectl.bench.probe import build
from zonectl.kernel import host, proc
from zonectl.model.instance import Instance
from zonectl.runtime.context import Context
from zonectl.runtime.remains import teardown_when_last
from zonectl.store.paths import Paths

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zonectl.bench.runner import Arm
    from zonectl.bench.site import Site

# The root of the lane is an overlay, which takes no id map.
FOLDER = Path("/scratch/ladder")
ZONE = f"""\
name = "web"
[root]
path = "{FOLDER}/root"
[network]
mode = "none"
"""


@pytest.fixture(scope="module")
def context() -> Iterator[Context]:
    FOLDER.mkdir(mode=0o700)
    where = Instance(root=str(FOLDER / "state"), run="/run/ladder")
    yield Context(instance=where, paths=Paths(where), facts=host.host_facts())
    shutil.rmtree(FOLDER)


def _site(context: Context, *, limits: str = "") -> Site:
    (FOLDER / "bind").mkdir(exist_ok=True)
    if not (FOLDER / "root").exists():
        make_root(FOLDER / "root")
    probe = build.probe(str(FOLDER))
    config = zone_files.parse(f"{ZONE}{limits}", file="test.toml", folder="/")
    fitted = site.fitted(config, probe=probe, bind=str(FOLDER / "bind"), processor=0)
    return site.Site(context=context, config=fitted, probe=probe, bind=str(FOLDER / "bind"), processor=0)


def _portray(arm: Arm) -> Portrait:
    with arm.start() as runner:
        assert runner.sample("getpid", 100, {}) > 0
        (pid,) = proc.children(os.getpid())
        return portray(pid)


def _portraits(here: Site, *names: str) -> list[Portrait]:
    with layers.rungs(here) as found:
        arms = {arm.facts.name: arm for arm in found}
        portraits = [_portray(arms[name]) for name in names]
    teardown_when_last(here.context)
    return portraits


def test_limits_that_the_zone_does_not_have_stand_beside(context: Context) -> None:
    group, limits, net = _portraits(_site(context), "cgroup", "limits", "net")
    assert limits.differs_from(group) == {"limits"}
    assert group.limits == net.limits == ()
    assert limits.limits == ("200000 100000", str(HARMLESS.memory_bytes), str(HARMLESS.pids))


def test_limits_that_the_zone_has_are_those_of_all_that_stand_on_them(context: Context) -> None:
    here = _site(context, limits='[resources]\nmemory = "300MiB"\npids = 77\n')
    group, limits, zone = _portraits(here, "cgroup", "limits", "zone")
    assert group.limits == ()
    assert limits.limits == zone.limits == (str(300 << 20), "77")
