"""Processes and processors: how many, how long, where."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from errno import EAGAIN
from pathlib import Path

import pytest

from tests.kernel.cgroups.groups import ZONE, Ground
from tests.vm.cgroups.zone import OTHER, spin, usage
from zonectl.errors import HostLacks, SyscallError
from zonectl.model.config import ResourcesConfig


def forks_until_refused() -> int:
    """How many processes there are when fork(2) fails, this one included; 255 if never."""
    children = []
    try:
        for _ in range(100):
            pid = os.fork()
            if pid == 0:
                time.sleep(300)
                os._exit(0)
            children.append(pid)
    except OSError as error:
        return len(children) + 1 if error.errno == EAGAIN else 254
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return 255


@pytest.mark.parametrize("limit", [1, 7])
def test_fork_fails_at_pids_max(groups: Ground, limit: int) -> None:
    groups.make(ResourcesConfig(pids=limit))
    assert groups.run(forks_until_refused) == limit
    found = groups.tree.stats(ZONE).pids
    assert found is not None
    assert (found.max, found.current) == (limit, 0)
    # Before pids.events.local (Linux 6.11) it is counted where it was tried.
    tried = groups.tree.stats(f"{ZONE}/payload").pids
    assert tried is not None
    assert max(found.refused, tried.refused) >= 1
    assert found.peak == limit


def test_fork_goes_on_without_pids_max(groups: Ground) -> None:
    groups.make(ResourcesConfig())
    assert groups.run(forks_until_refused) == 255


def test_processor_time_stays_within_its_quota(groups: Ground) -> None:
    config = ResourcesConfig(cpus=0.2, cpu_period_us=50_000)
    groups.make(config)
    groups.make(ResourcesConfig(cpu_weight=100), group=OTHER)
    with groups.running(spin(6)) as first, groups.running(spin(6), f"{OTHER}/payload") as second:
        os.waitpid(first, 0)
        os.waitpid(second, 0)
    limited, free = groups.tree.stats(ZONE).cpu, groups.tree.stats(OTHER).cpu
    assert limited is not None
    assert free is not None
    assert limited.nr_periods is not None
    quota_us = 10_000
    assert limited.nr_periods >= 20
    assert limited.usage_us <= 1.05 * limited.nr_periods * quota_us
    assert limited.usage_us >= 0.5 * limited.nr_periods * quota_us
    assert limited.nr_throttled
    # The same work without the limit breaks the bound: it could have been broken.
    assert free.usage_us > 1.05 * limited.nr_periods * quota_us


def test_weights_share_a_busy_processor(groups: Ground) -> None:
    groups.make(ResourcesConfig(cpu_weight=400, cpuset="0"))
    groups.make(ResourcesConfig(cpu_weight=100, cpuset="0"), group=OTHER)
    with groups.running(spin(60)), groups.running(spin(60), f"{OTHER}/payload"):
        time.sleep(2)
        before = [usage(groups, group) for group in (ZONE, OTHER)]
        time.sleep(6)
        after = [usage(groups, group) for group in (ZONE, OTHER)]
    heavy, light = (b - a for a, b in zip(before, after, strict=True))
    assert 3 < heavy / light < 5


@pytest.mark.parametrize("cpus", ["0", "1", "0-1"])
def test_a_zone_runs_on_its_processors(groups: Ground, cpus: str) -> None:
    groups.make(ResourcesConfig(cpuset=cpus, cpuset_mems="0"))
    expected = {int(number) for number in cpus.split("-")}

    def look() -> int:
        return 0 if os.sched_getaffinity(0) == expected else 1

    def break_out() -> int:
        with suppress(OSError):
            os.sched_setaffinity(0, {0, 1})
        return look()

    assert groups.run(look) == 0
    assert groups.run(break_out) == 0


@pytest.mark.parametrize("config", [ResourcesConfig(cpuset="7"), ResourcesConfig(cpuset_mems="5")])
def test_processors_and_nodes_that_are_not_there_are_refused(groups: Ground, config: ResourcesConfig) -> None:
    with pytest.raises((SyscallError, HostLacks)):
        groups.make(config)


def test_a_processor_that_is_offline_is_refused(groups: Ground) -> None:
    """The kernel takes it, and then lets the zone run everywhere."""
    online = Path("/sys/devices/system/cpu/cpu1/online")
    online.write_text("0")
    try:
        with pytest.raises(HostLacks, match=r"cpuset\.cpus 1: none of them is online") as caught:
            groups.make(ResourcesConfig(cpuset="1"))
        assert caught.value.hint == "here are 0"
        groups.make(ResourcesConfig(cpuset="0-1"), group=OTHER)
    finally:
        online.write_text("1")
