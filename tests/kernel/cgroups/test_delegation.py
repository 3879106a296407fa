"""What a zone with ids of its own may do to its groups, and what it may not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.kernel.cgroups.groups import PAYLOAD, ZONE, Ground, apart, mounted
from zonectl.cgroups.steps import steps
from zonectl.cgroups.steps.kinds import DelegateGroup
from zonectl.model.config import ResourcesConfig
from zonectl.model.facts import CgroupFacts

pytestmark = pytest.mark.requires("root", "cgroup2")

OWNER = 100_000
DELEGATED = Path("/sys/kernel/cgroup/delegate")


def as_owner(*acts: str, groups: Ground) -> list[bool]:
    """Which of the acts, `mkdir GROUP` or `write GROUP/FILE TEXT`, the zone's root may do."""
    reading, writing = os.pipe()

    def tries() -> int:
        os.setgroups([])
        os.setresgid(OWNER, OWNER, OWNER)
        os.setresuid(OWNER, OWNER, OWNER)
        os.write(writing, bytes(permitted(act, groups) for act in acts))
        return 0

    try:
        assert apart(tries) == 0
        return [bool(byte) for byte in os.read(reading, len(acts))]
    finally:
        os.close(reading)
        os.close(writing)


def permitted(act: str, groups: Ground) -> bool:
    verb, target, *text = act.split(" ")
    path = groups.path(target.rpartition("/")[0]) / target.rpartition("/")[2]
    try:
        if verb == "mkdir":
            path.mkdir()
        else:
            path.write_text(text[0])
    except PermissionError:
        return False
    return True


def test_the_zone_makes_groups_in_payload_and_moves_no_limit(groups: Ground) -> None:
    groups.make(owner=str(OWNER))
    assert as_owner(f"mkdir {PAYLOAD}/init.scope", f"mkdir {ZONE}/beside", groups=groups) == [True, False]
    refused = [f"write {ZONE}/cgroup.{file} 1" for file in ("freeze", "kill", "max.depth", "procs")]
    refused += [f"write {PAYLOAD}/cgroup.{file} 1" for file in ("freeze", "kill", "max.depth")]
    assert as_owner(*refused, groups=groups) == [False] * len(refused)


def test_owners(groups: Ground) -> None:
    groups.make(owner=str(OWNER))
    owned = {path.name for path in groups.path(PAYLOAD).iterdir() if path.stat().st_uid == OWNER}
    assert owned == {"cgroup.procs", "cgroup.subtree_control", "cgroup.threads"}
    assert (groups.path(PAYLOAD).stat().st_uid, groups.path(PAYLOAD).stat().st_gid) == (OWNER, OWNER)
    assert groups.path(ZONE).stat().st_uid == 0


def test_without_ids_of_its_own_all_stays_roots(groups: Ground) -> None:
    groups.make()
    assert {path.stat().st_uid for path in groups.path(PAYLOAD).iterdir()} == {0}


def test_the_delegated_files_are_those_the_kernel_names() -> None:
    everything = CgroupFacts(mount=mounted().mount, controllers=frozenset({"memory"}))
    made, _ = steps(ResourcesConfig(memory_bytes=2**20), everything, group=ZONE, owner="1")
    (step,) = [step for step in made if isinstance(step, DelegateGroup)]
    assert sorted(step.files) == sorted(DELEGATED.read_text().split())
