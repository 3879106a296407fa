"""The journal tells of a step on the host before it is done, so that whoever comes after a kill knows of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.kernel.runtime import trace
from tests.kernel.runtime.world import REQUIRED, World
from zonectl.cgroups.steps.kinds import MakeGroup
from zonectl.model.instance import link_name
from zonectl.network.steps import MakeVeth
from zonectl.runtime import zones

if TYPE_CHECKING:
    from tests.kernel.runtime.trace import Raw
    from zonectl.model.steps import Step

pytestmark = pytest.mark.requires(*REQUIRED, "veth", "bridge", "nft", "program:strace")


def noted(calls: list[Raw], journal: str) -> list[tuple[int, str]]:
    """Where in the trace each line of the journal is written, and of what kind of step it is."""
    found = []
    for at, raw in enumerate(calls):
        if raw.name == "write" and f"<{journal}>" in raw.arguments[0]:
            lines = trace.words(raw.arguments[1]).splitlines()
            found += [(at, str(json.loads(line)["step"])) for line in lines if line]
    return found


def done(calls: list[Raw], step: Step) -> int:
    """Where in the trace the step is begun."""
    match step:
        case MakeGroup(path=path):
            wanted, words = "mkdir", [f'"{path}"']
        case MakeVeth(link=link):
            wanted, words = "sendto", ["RTM_NEWLINK", f'"{link}"']
        case _:
            raise AssertionError(step)
    return next(
        at
        for at, raw in enumerate(calls)
        if raw.name == wanted and all(word in " ".join(raw.arguments) for word in words)
    )


def test_a_step_on_the_host_is_noted_before_it_is_done(world: World) -> None:
    world.create("/bin/true", net=True)
    zone = zones.load(world.context, "web")
    argv = [str(world.folder), str(world.number), "start", "web"]
    traced = trace.record(argv, world.folder / "trace")
    calls = traced.of(traced.worker)
    notes = noted(calls, world.context.paths.journal_file("web"))
    steps = [
        step for step in zones.plan_of(world.context, zone).steps if isinstance(step, MakeGroup | MakeVeth)
    ]
    assert [step.link for step in steps if isinstance(step, MakeVeth)] == [link_name(zone.record.id)]
    assert sum(isinstance(step, MakeGroup) for step in steps) >= 2
    for step in steps:
        kind = type(step).__name__
        at = next(number for number, (_, noted_kind) in enumerate(notes) if noted_kind == kind)
        written, _ = notes.pop(at)  # each has a line of its own
        assert written < done(calls, step), step
