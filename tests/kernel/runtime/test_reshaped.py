"""Runs of another plan than their zone file's: for programs of zonectl's own, that measure."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.kernel.runtime.world import REQUIRED, Caller
from zonectl.errors import StepError
from zonectl.kernel import proc
from zonectl.namespaces.steps.process import ChangeRoot, CloneInit
from zonectl.runtime.run import running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.kernel.runtime.world import World
    from zonectl.planning import ZonePlan

pytestmark = pytest.mark.requires(*REQUIRED)


@pytest.fixture
def caller(world: World) -> Iterator[Caller]:
    made = Caller(world.folder)
    yield made
    made.close()


def test_a_run_follows_the_plan_that_is_made_of_its_own(world: World, caller: Caller) -> None:
    def reshape(plan: ZonePlan) -> ZonePlan:
        return replace(plan, restrict=replace(plan.restrict, seccomp=None))

    config = world.parse(world.text("/bin/sleep", "300"))
    with running(world.context, config, caller) as usual:
        assert proc.status_fields(usual.pid)["Seccomp"] == "2"
    caller.close()
    with running(world.context, config, caller, reshape=reshape) as reshaped:
        assert proc.status_fields(reshaped.pid)["Seccomp"] == "0"


def _with_the_root_alone(folder: str) -> Callable[[ZonePlan], ZonePlan]:
    def reshape(plan: ZonePlan) -> ZonePlan:
        return replace(
            plan,
            before=(),
            devices=(),
            clone=CloneInit(namespaces=(), cgroup=""),
            maps=(),
            trees=(),
            inside=(ChangeRoot(path=folder),),
            restrict=replace(plan.restrict, seccomp=None),
            cgroup="",
        )

    return reshape


def test_a_changed_root_and_nothing_else(world: World, caller: Caller) -> None:
    os.mknod(world.root / "dev/null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    config = world.parse(world.text("/bin/sleep", "300"))
    with running(world.context, config, caller, reshape=_with_the_root_alone(str(world.root))) as launched:
        assert os.readlink(f"/proc/{launched.pid}/root") == str(world.root)
        assert os.readlink(f"/proc/{launched.pid}/cwd") == str(world.root)
        assert proc.namespace_ids(launched.pid) == proc.namespace_ids("self")
        assert proc.read(launched.pid, "cgroup") == proc.read("self", "cgroup")


def test_a_root_that_is_not_there(world: World, caller: Caller) -> None:
    config = world.parse(world.text("/bin/sleep", "300"))
    reshape = _with_the_root_alone(str(world.folder / "nowhere"))
    with (
        pytest.raises(StepError, match="No such file") as told,
        running(world.context, config, caller, reshape=reshape),
    ):
        pass
    assert "chroot" in str(told.value)
