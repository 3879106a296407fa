"""Trees and the slots that init knows them by; what the steps that make namespaces say."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.config.strategies import configs
from tests.unit.planning.plans import BOUND, CONFIGS, FACTS, MOUNTS, WEB, plan_of
from zonectl.model.config import MountKind, NamespacesConfig, RootConfig, RootMode, ZoneConfig
from zonectl.model.ids import ZONE_IDS
from zonectl.namespaces.steps import inside_steps, namespace_kinds, tree_steps
from zonectl.namespaces.steps.contents import MakeDevices, MountFilesystem
from zonectl.namespaces.steps.mounts import (
    CloneTree,
    MakeMountPoints,
    MountOverlay,
    PlaceTree,
    Stage,
    UseTree,
)
from zonectl.namespaces.steps.nodes import MakeNodes, PlaceNodes
from zonectl.namespaces.steps.process import ShiftClocks, clone_flag

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zonectl.model.facts import HostFacts
    from zonectl.model.steps import Step

few = settings(max_examples=25)
layers = st.lists(st.sampled_from(["/l/a", "/l/b", "/usr", "/sys", "/dev/mqueue"]), min_size=1, max_size=4)


def _trees_and_inside(
    config: ZoneConfig, below: tuple[str, ...] = BOUND.layers, facts: HostFacts = FACTS
) -> tuple[tuple[CloneTree | MakeNodes, ...], tuple[Step, ...]]:
    bound = replace(BOUND, layers=below)
    files = (("/etc/hosts", "x"),)
    return tree_steps(config, bound, facts), inside_steps(config, bound, facts, files=files, volatile=False)


def _used(steps: Iterable[Step]) -> list[int]:
    """Every slot whose tree a step puts somewhere, in order."""
    found: list[int] = []
    for step in steps:
        match step:
            case Stage():
                found += step.slots
            case UseTree() | PlaceTree() | PlaceNodes():
                found.append(step.slot)
    return found


@few
@given(config=configs(), below=layers, mqueue=st.booleans())
def test_each_tree_has_its_slot_and_is_used_exactly_once(
    config: ZoneConfig, below: list[str], mqueue: bool
) -> None:
    trees, inside = _trees_and_inside(config, tuple(below), replace(FACTS, mqueue=mqueue))
    assert [tree.slot for tree in trees] == list(range(len(trees)))
    assert sorted(_used(inside)) == list(range(len(trees)))


@few
@given(config=configs(), below=layers)
def test_each_mount_gets_the_tree_of_its_own_source(config: ZoneConfig, below: list[str]) -> None:
    trees, inside = _trees_and_inside(config, tuple(below))
    placed = [step for step in inside if isinstance(step, PlaceTree)]
    for step in placed:
        assert trees[step.slot].path == step.source
    binds = [mount for mount in config.mounts if mount.kind is MountKind.BIND]
    ours = placed[len(placed) - len(binds) :]
    assert [(step.source, step.target) for step in ours] == [(bind.source, bind.target) for bind in binds]
    for bind, step in zip(binds, ours, strict=True):
        tree = trees[step.slot]
        assert isinstance(tree, CloneTree)
        assert ("rdonly" in tree.attributes, "nosuid" in tree.attributes) == (bind.readonly, not bind.suid)
        assert ("nodev" in tree.attributes, "noexec" in tree.attributes) == (not bind.dev, not bind.exec)
        assert tree.recursive == bind.recursive


@few
@given(config=configs(), below=layers)
def test_kernel_trees_of_the_host_are_read_only_and_keep_their_ids(
    config: ZoneConfig, below: list[str]
) -> None:
    trees, inside = _trees_and_inside(config, tuple(below))
    for step in inside:
        if isinstance(step, PlaceTree) and step.target in {"/sys", "/dev/mqueue"}:
            tree = trees[step.slot]
            assert isinstance(tree, CloneTree)
            assert {"rdonly", "nosuid", "nodev", "noexec"} == set(tree.attributes)
            assert not tree.idmapped


@few
@given(config=configs(), below=layers)
def test_an_overlay_stands_on_staged_trees_and_writes_to_the_zones_own(
    config: ZoneConfig, below: list[str]
) -> None:
    trees, inside = _trees_and_inside(config, tuple(below))
    staged = {slot for step in inside if isinstance(step, Stage) for slot in step.slots}
    for step in inside:
        if isinstance(step, MountOverlay):
            assert set(step.lowers) <= staged
            if step.upper is None:
                assert [trees[slot].path for slot in step.lowers] == [f"{BOUND.zone_dir}/root"]
                continue
            assert step.upper in staged
            assert trees[step.upper].path == BOUND.zone_dir
            expected = ["/usr"] if step.name == "usr" else below
            assert [trees[slot].path for slot in step.lowers] == expected


def test_layers_are_never_written_to() -> None:
    _, inside = _trees_and_inside(WEB)
    (overlay,) = (step for step in inside if isinstance(step, MountOverlay))
    assert overlay.options == "lowerdir=0:1,upperdir=2/upper,workdir=2/work,userxattr"


def test_a_root_that_is_thrown_away_is_not_synced() -> None:
    steps = inside_steps(WEB, BOUND, FACTS, files=(), volatile=True)
    (overlay,) = (step for step in steps if isinstance(step, MountOverlay))
    assert overlay.options.endswith(",volatile")


def test_a_copied_root_is_used_as_it_is_without_device_nodes() -> None:
    copied = replace(WEB, root=RootConfig(tar="/root.tar", mode=RootMode.COPY))
    trees, inside = _trees_and_inside(copied)
    assert [(tree.path, tree.attributes) for tree in trees] == [(f"{BOUND.zone_dir}/root", ("nodev",))]
    assert not any(isinstance(step, MountOverlay) for step in inside)


def test_a_read_only_root_has_no_layer_that_a_remount_could_write_to() -> None:
    locked = replace(WEB, root=RootConfig(image="a", readonly=True), mounts=MOUNTS)
    _, inside = _trees_and_inside(locked)
    first, last = (step for step in inside if isinstance(step, MountOverlay))
    assert "upperdir" in first.options
    assert last.readonly
    assert "upperdir" not in last.options
    (made,) = (step for step in inside if isinstance(step, MakeMountPoints))
    targets = {step.target for step in inside if isinstance(step, PlaceTree)}
    assert targets <= {point for point, _ in made.points}


def test_ids_are_mapped_whole_and_from_zero() -> None:
    maps = plan_of(WEB).maps
    assert [getattr(step, "text", "") for step in maps] == [f"0 1000000 {ZONE_IDS}"] * 2
    assert [call.target for step in maps for call in step.calls] == [
        "/proc/<init>/uid_map",
        "/proc/<init>/gid_map",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, ""),
        (86400.0, "boottime 86400 0\n"),
        (1.5, "boottime 1 500000000\n"),
        (-1.5, "boottime -2 500000000\n"),  # the kernel takes nanoseconds from 0 to 999999999
        (0.1, "boottime 0 100000000\n"),
        (1e9, "boottime 1000000000 0\n"),
    ],
)
def test_offsets_of_clocks_are_whole_seconds_and_nanoseconds(seconds: float, text: str) -> None:
    assert ShiftClocks(boottime_s=seconds, monotonic_s=0.0).text == text


@given(milliseconds=st.integers(-(10**11), 10**11))
def test_an_offset_is_exact(milliseconds: int) -> None:
    text = ShiftClocks(boottime_s=milliseconds / 1000, monotonic_s=0.0).text or "boottime 0 0\n"
    _, seconds, nanoseconds = text.split()
    assert 0 <= int(nanoseconds) < 10**9
    assert int(seconds) * 1000 + int(nanoseconds) / 10**6 == milliseconds


@pytest.mark.parametrize(
    ("kind", "flag"),
    [
        ("mnt", "CLONE_NEWNS"),
        ("user", "CLONE_NEWUSER"),
        ("cgroup", "CLONE_NEWCGROUP"),
        ("ipc", "CLONE_NEWIPC"),
    ],
)
def test_flags_are_named_as_the_kernel_names_them(kind: str, flag: str) -> None:
    assert clone_flag(kind) == flag


@few
@given(config=configs())
def test_mounts_processes_and_groups_are_always_the_zones_own(config: ZoneConfig) -> None:
    kinds = namespace_kinds(config)
    assert {"mnt", "pid", "cgroup"} <= set(kinds)
    assert "time" not in kinds  # made by init: after clone3(CLONE_NEWTIME) the offsets cannot be written
    assert ("net" in kinds) == config.namespaces.net
    assert len(set(kinds)) == len(kinds)


@pytest.mark.parametrize("name", CONFIGS)
def test_no_device_of_the_hosts_hardware_is_in_a_zone(name: str) -> None:
    (devices,) = (step for step in plan_of(CONFIGS[name]).inside if isinstance(step, MakeDevices))
    assert set(devices.nodes) == {"null", "zero", "full", "random", "urandom", "tty"}
    assert {"nosuid", "noexec", "nodev"} == set(devices.filesystem.attributes)


@few
@given(config=configs())
def test_every_mount_point_below_another_comes_after_it(config: ZoneConfig) -> None:
    _, inside = _trees_and_inside(config)
    targets = [
        step.target if isinstance(step, PlaceTree | MountFilesystem) else "/dev"
        for step in inside
        if isinstance(step, PlaceTree | MountFilesystem | MakeDevices)
    ]
    for number, target in enumerate(targets):
        assert not any(later != target and target.startswith(f"{later}/") for later in targets[number + 1 :])


@few
@given(config=configs())
def test_proc_and_sys_hold_no_setuid_programs_nor_devices(config: ZoneConfig) -> None:
    _, inside = _trees_and_inside(config)
    for step in inside:
        if isinstance(step, MountFilesystem) and step.fstype in {"proc", "sysfs", "cgroup2", "mqueue"}:
            assert {"nosuid", "nodev", "noexec"} <= set(step.attributes)


def test_an_own_message_queue_needs_none_of_the_hosts() -> None:
    shared = replace(WEB, namespaces=NamespacesConfig(ipc=False))
    trees, inside = _trees_and_inside(shared, facts=replace(FACTS, mqueue=False))
    assert "/dev/mqueue" not in [tree.path for tree in trees]
    assert not any(getattr(step, "target", "") == "/dev/mqueue" for step in inside)


def test_targets_are_taken_in_the_order_of_the_file() -> None:
    _, inside = _trees_and_inside(replace(WEB, mounts=MOUNTS))
    targets = [getattr(step, "target", "") for step in inside[-len(MOUNTS) :]]
    assert targets == [mount.target for mount in MOUNTS]
    assert all(first != second for first, second in pairwise(targets))
