from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import pytest
from hypothesis import given

from tests.unit.cgroups.strategies import everything, facts, facts_with, resources
from zonectl.cgroups.limits import enforceable, settings, unenforceable
from zonectl.cgroups.steps import BOUNDS, base_path, changes, steps
from zonectl.cgroups.steps.kinds import (
    DelegateGroup,
    EnableControllers,
    MakeGroup,
    ShareProtection,
    WriteDeviceLimit,
    WriteLimit,
)
from zonectl.errors import HostLacks
from zonectl.model.config import IoLimit, ResourcesConfig
from zonectl.model.facts import CgroupFacts
from zonectl.model.steps import Side, Step

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zonectl.cgroups.steps.kinds import CgroupStep

Contents: TypeAlias = "dict[tuple[str, str | None], str]"

GROUP = "zonectl/0a1b2c3d"
TOP = "/sys/fs/cgroup"


def lines(made: Iterable[CgroupStep]) -> list[str]:
    return [f"{call.name} {call.target} {call.detail}".rstrip() for step in made for call in step.calls]


def test_a_whole_plan() -> None:
    config = ResourcesConfig(cpus=0.5, memory_bytes=2**20, memory_low_bytes=4096)
    made, warnings = steps(config, everything, group=GROUP, owner="100000")
    payload = f"{TOP}/{GROUP}/payload"
    assert warnings == ()
    assert lines(made) == [
        f"mkdir {TOP}/zonectl 0755",
        f"write {TOP}/cgroup.subtree_control +cpu +memory",
        f"write {TOP}/zonectl/cgroup.subtree_control +cpu +memory",
        f"mkdir {TOP}/{GROUP} 0755",
        f"write {TOP}/{GROUP}/cgroup.max.descendants 1000",
        f"write {TOP}/{GROUP}/cgroup.max.depth 16",
        f"write {TOP}/{GROUP}/cpu.max 50000 100000",
        f"write {TOP}/{GROUP}/memory.low 4096",
        f"write {TOP}/{GROUP}/memory.max 1048576",
        f"write {TOP}/zonectl/memory.low <sum of the zones' memory.low>",
        f"write {TOP}/{GROUP}/cgroup.subtree_control +cpu +memory",
        f"mkdir {payload} 0755",
        f"chown {payload} 100000:100000",
        f"chown {payload}/cgroup.procs 100000:100000",
        f"chown {payload}/cgroup.subtree_control 100000:100000",
        f"chown {payload}/cgroup.threads 100000:100000",
        f"chown {payload}/memory.oom.group 100000:100000",
        f"chown {payload}/memory.reclaim 100000:100000",
    ]


def test_a_zone_without_limits_enables_nothing() -> None:
    made, _ = steps(ResourcesConfig(), everything, group=GROUP)
    assert [type(step) for step in made] == [MakeGroup, MakeGroup, WriteLimit, WriteLimit, MakeGroup]


def test_a_zone_without_ids_of_its_own_gets_nothing_delegated() -> None:
    made, _ = steps(ResourcesConfig(pids=1), everything, group=GROUP)
    assert not any(isinstance(step, DelegateGroup) for step in made)


def test_an_unbound_plan_prints_names() -> None:
    made, _ = steps(ResourcesConfig(), everything, group="zonectl/<id>", owner="<first id: allocated>")
    assert lines(made)[-1] == (
        f"chown {TOP}/zonectl/<id>/payload/cgroup.threads <first id: allocated>:<first id: allocated>"
    )


def test_a_device_is_printed_by_its_path() -> None:
    config = ResourcesConfig(io=(IoLimit(device="/dev/vda", read_bps=5),))
    made, _ = steps(config, everything, group=GROUP)
    (limit,) = [step for step in made if isinstance(step, WriteDeviceLimit)]
    assert limit.calls[0].detail == "<major:minor of /dev/vda> rbps=5"


def test_below_a_delegated_subtree() -> None:
    cgroup = replace(everything, base="system.slice/zonectl.service")
    made, _ = steps(ResourcesConfig(pids=1), cgroup, group=GROUP)
    base = f"{TOP}/system.slice/zonectl.service"
    assert lines(made)[:2] == [f"mkdir {base}/zonectl 0755", f"write {base}/cgroup.subtree_control +pids"]


def test_all_that_is_lacking_is_told_at_once() -> None:
    cgroup = facts_with(frozenset({"hugetlb"}))
    with pytest.raises(HostLacks) as caught:
        steps(ResourcesConfig(memory_bytes=1, pids=1), cgroup, group=GROUP)
    assert caught.value.message == (
        "limits cannot be enforced: memory: bound to cgroup v1 at /sys/fs/cgroup/memory; "
        "pids: bound to cgroup v1 at /sys/fs/cgroup/pids"
    )
    assert caught.value.hint == "set resources.required = false to start without"


def test_without_cgroup2_no_zone_starts_whatever_is_required() -> None:
    with pytest.raises(HostLacks, match="no cgroup2"):
        steps(ResourcesConfig(required=False), CgroupFacts(), group=GROUP)


def test_a_shared_group_is_made_only_when_missing() -> None:
    made, _ = steps(ResourcesConfig(), everything, group=GROUP)
    groups = [step for step in made if isinstance(step, MakeGroup)]
    assert [(step.shared, step.calls[0].when) for step in groups] == [
        (True, "when missing"),
        (False, ""),
        (False, ""),
    ]


@given(resources, facts)
def test_what_is_left_out_is_warned_of_and_nothing_else(config: ResourcesConfig, cgroup: CgroupFacts) -> None:
    if config.required:
        config = replace(config, required=False)
    made, warnings = steps(config, cgroup, group=GROUP)
    written = {(step.file, step.value) for step in made if isinstance(step, WriteLimit | WriteDeviceLimit)}
    possible = {(s.file, s.value) for s in enforceable(config, cgroup)}
    assert written == possible | set(BOUNDS)
    assert warnings == tuple(lack.warning for lack in unenforceable(config, cgroup))


@given(resources, facts)
def test_required_limits_are_all_written_or_refused(config: ResourcesConfig, cgroup: CgroupFacts) -> None:
    lacking = enforceable(config, cgroup) != settings(config)
    try:
        made, warnings = steps(replace(config, required=True), cgroup, group=GROUP)
    except HostLacks:
        assert lacking
    else:
        assert not lacking
        assert warnings == ()
        assert len([s for s in made if isinstance(s, WriteLimit | WriteDeviceLimit)]) == (
            len(settings(config)) + len(BOUNDS)
        )


@given(resources, facts)
def test_order(config: ResourcesConfig, cgroup: CgroupFacts) -> None:
    """A group is made before anything in it is written, its files are there before, payload comes last."""
    made, _ = steps(replace(config, required=False), cgroup, group=GROUP, owner="1")
    base = base_path(cgroup)
    groups = {base}
    enabled: dict[str, set[str]] = {}
    for step in made:
        assert step.side is Side.HOST
        assert isinstance(step, Step)
        match step:
            case MakeGroup():
                assert step.path.rpartition("/")[0] in groups
                groups.add(step.path)
            case EnableControllers():
                assert step.path in groups
                assert not step.path.endswith("payload")
                enabled[step.path] = set(step.controllers)
                parent = step.path.rpartition("/")[0]
                assert step.path == base or enabled[step.path] <= enabled[parent]
            case WriteLimit() | WriteDeviceLimit() | ShareProtection():
                assert step.path in groups
                controller = step.file.split(".")[0]
                assert controller == "cgroup" or controller in enabled[step.path.rpartition("/")[0]]
            case DelegateGroup():
                assert step is made[-1]
                assert step.path in groups
    assert made[-2] == MakeGroup(path=f"{base}/{GROUP}/payload")


def contents(made: Iterable[CgroupStep], before: Contents) -> Contents:
    """What the limit files hold after the steps."""
    state = dict(before)
    for step in made:
        match step:
            case WriteLimit():
                state[step.file, None] = step.value
            case WriteDeviceLimit():
                state[step.file, step.device] = step.value
            case _:
                pass
    return state


def as_default(state: Contents, config: ResourcesConfig) -> Contents:
    defaults = {(s.file, s.device): s.default for s in settings(config)}
    return {at: value for at, value in state.items() if defaults.get(at) != value}


@given(resources, resources, facts)
def test_changing_limits_comes_to_the_same_as_starting_with_them(
    old: ResourcesConfig, new: ResourcesConfig, cgroup: CgroupFacts
) -> None:
    old, new = replace(old, required=False), replace(new, required=False)
    started = contents(steps(old, cgroup, group=GROUP)[0], {})
    changed = contents(changes(old, new, cgroup, group=GROUP)[0], started)
    fresh = contents(steps(new, cgroup, group=GROUP)[0], {})
    assert as_default(as_default(changed, old), new) == as_default(as_default(fresh, old), new)


@given(resources, facts)
def test_changing_nothing_does_nothing(config: ResourcesConfig, cgroup: CgroupFacts) -> None:
    config = replace(config, required=False)
    assert changes(config, config, cgroup, group=GROUP)[0] == ()


def test_a_changed_protection_is_shared_again() -> None:
    made, _ = changes(ResourcesConfig(memory_low_bytes=4096), ResourcesConfig(), everything, group=GROUP)
    assert lines(made) == [
        f"write {TOP}/{GROUP}/memory.low 0",
        f"write {TOP}/zonectl/memory.low <sum of the zones' memory.low>",
    ]


def test_a_first_limit_of_a_running_zone_enables_its_controller() -> None:
    made, _ = changes(ResourcesConfig(), ResourcesConfig(pids=9), everything, group=GROUP)
    assert lines(made) == [
        f"write {TOP}/cgroup.subtree_control +pids",
        f"write {TOP}/zonectl/cgroup.subtree_control +pids",
        f"write {TOP}/{GROUP}/cgroup.subtree_control +pids",
        f"write {TOP}/{GROUP}/pids.max 9",
    ]
