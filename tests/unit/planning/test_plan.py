"""Plans as text: what is read here is what a start does (tests/kernel/runtime/test_plan.py compares the two)."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.config.strategies import configs
from tests.unit.planning.plans import BOUND, CONFIGS, FACTS, INSTANCE, WEB, filter_of, plan_of, text
from zonectl.errors import HostLacks
from zonectl.model.config import BudgetConfig, MountKind, NetworkMode, ResourcesConfig, ZoneConfig
from zonectl.model.facts import CgroupFacts, HostFacts
from zonectl.model.steps import Binding, Side, Step
from zonectl.namespaces.steps.contents import MountFilesystem
from zonectl.namespaces.steps.mounts import CloneTree, MakePrivate, Stage, SwitchRoot
from zonectl.namespaces.steps.scaffold import EnterScaffold, LockMounts
from zonectl.planning import plan
from zonectl.security.steps import Execute, Restrict

GOLDEN = Path(__file__).parent / "golden"
few = settings(max_examples=30)
"""Whole configurations take a while to make up."""

REWRITE = bool(os.environ.get("ZONECTL_GOLDEN"))
"""With ZONECTL_GOLDEN=1 the files are written anew; read the difference before you commit it."""


@pytest.mark.parametrize("name", CONFIGS)
def test_a_plan_reads_as_its_golden_file(name: str) -> None:
    made = text(plan_of(CONFIGS[name]))
    file = GOLDEN / f"{name}.txt"
    if REWRITE:
        file.write_text(made)
    assert made == file.read_text()


def test_every_golden_file_has_a_configuration() -> None:
    assert {file.stem for file in GOLDEN.iterdir()} == set(CONFIGS)


def test_what_is_not_known_before_create_is_printed_by_name() -> None:
    unbound = Binding.unbound(zone_dir="/srv/zones/zones/web", layers=("<layers of debian:12>",))
    made = text(plan_of(WEB, bound=unbound))
    for word in ("<id>", "<first id: allocated>", "<address: leased>", "<gateway: of the bridge>"):
        assert word in made


def test_nothing_else_differs_between_what_is_printed_and_what_is_applied() -> None:
    unbound = Binding.unbound(zone_dir=BOUND.zone_dir, layers=BOUND.layers)
    printed, applied = (
        [(step.side, type(step), [call.name for call in step.calls]) for step in plan_of(WEB, bound=b).steps]
        for b in (unbound, BOUND)
    )
    assert printed == applied


@few
@given(config=configs())
def test_every_configuration_has_a_plan_in_order(config: ZoneConfig) -> None:
    config = replace(config, resources=replace(config.resources, required=False))
    made = plan_of(config)
    sides = [step.side for step in made.steps]
    assert sides == sorted(sides, key=lambda side: side is Side.INSIDE)
    assert all(step.summary and step.calls for step in made.steps)
    inside: list[Step] = [step for step in made.steps if step.side is Side.INSIDE]
    kinds = [type(step) for step in inside]
    own = config.namespaces.user
    apart = EnterScaffold if own else MakePrivate
    assert {EnterScaffold, MakePrivate, LockMounts} & set(kinds) == {apart, *([LockMounts] if own else [])}
    assert kinds.index(apart) < min(kinds.index(Stage), kinds.index(MountFilesystem))
    # The host's root is left last, and what remains is locked before anything of the zone's runs.
    assert kinds[-4 if own else -3 :] == [SwitchRoot, *([LockMounts] if own else []), Restrict, Execute]
    assert inside[-2:] == [made.restrict, made.execute]
    assert made.restrict.calls
    assert made.execute.calls[-1].name in {"execve", "execveat"}


@few
@given(config=configs())
def test_only_what_the_zone_has_to_itself_is_set_up(config: ZoneConfig) -> None:
    config = replace(config, resources=replace(config.resources, required=False))
    made = plan_of(config)
    names = {type(step).__name__ for step in made.steps}
    chosen = config.namespaces
    assert ("SetHostname" in names) == chosen.uts
    assert ("ShiftClocks" in names) == chosen.time
    assert {"WriteIdMap", "BecomeRoot"} & names == ({"WriteIdMap", "BecomeRoot"} if chosen.user else set())
    assert ("MakeVeth" in names) == (config.network.mode is NetworkMode.VETH)
    assert ("LoopbackUp" in names) == (config.network.mode is not NetworkMode.HOST)
    assert all(
        tree.idmapped == chosen.user
        for tree in made.trees
        if isinstance(tree, CloneTree) and not tree.path.startswith(("/sys", "/dev"))
    )
    assert sum(mount.kind is MountKind.TMPFS for mount in config.mounts) == sum(
        getattr(step, "fstype", "") == "tmpfs" and getattr(step, "target", "").startswith("/mnt")
        for step in made.inside
    )


@few
@given(config=configs(), resolv_conf=st.text(max_size=200))
def test_the_plan_is_a_function_of_what_it_is_given(config: ZoneConfig, resolv_conf: str) -> None:
    config = replace(config, resources=replace(config.resources, required=False))
    first, second = (
        plan(config, FACTS, INSTANCE, binding=BOUND, seccomp=filter_of(config), resolv_conf=resolv_conf)
        for _ in range(2)
    )
    assert first == second
    assert hash(first) == hash(second)


def test_a_budget_is_nothing_to_a_start() -> None:
    assert plan_of(replace(WEB, budget=BudgetConfig(cpu_percent=3.0, start_us=50_000))) == plan_of(WEB)


def test_a_limit_that_the_host_cannot_enforce_is_refused_and_named() -> None:
    facts = HostFacts(cgroup=CgroupFacts(mount="/sys/fs/cgroup", controllers=frozenset({"cpu"})))
    limited = replace(WEB, resources=ResourcesConfig(memory_bytes=1 << 20))
    with pytest.raises(HostLacks, match="memory"):
        plan_of(limited, facts=facts)
    unheld = replace(WEB, resources=ResourcesConfig(memory_bytes=1 << 20, required=False))
    assert plan_of(unheld, facts=facts).warnings


def test_nothing_impure_is_imported() -> None:
    program = (
        "import sys, zonectl.planning\n"
        "impure = {'ctypes', '_ctypes', 'socket', '_socket', 'subprocess', '_posixsubprocess'}\n"
        "found = impure & set(sys.modules) | {m for m in sys.modules if m.startswith('zonectl.kernel')}\n"
        "sys.exit(', '.join(sorted(found)) or 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {os.getcwd()!r})\n{program}"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
