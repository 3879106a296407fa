from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given

from tests.unit.cgroups.strategies import everything, facts, facts_with, resources
from zonectl.cgroups.limits import Lack, enforceable, settings, unenforceable
from zonectl.model.config import IoLimit, ResourcesConfig

if TYPE_CHECKING:
    from zonectl.model.facts import CgroupFacts

HYBRID = facts_with(frozenset({"hugetlb"}))


def test_a_controller_of_version_1_is_named_with_its_mount() -> None:
    lacks = unenforceable(ResourcesConfig(memory_bytes=1, swap_bytes=0, pids=1), HYBRID)
    assert lacks == (
        Lack(
            controller="memory", keys=("memory", "swap"), reason="bound to cgroup v1 at /sys/fs/cgroup/memory"
        ),
        Lack(controller="pids", keys=("pids",), reason="bound to cgroup v1 at /sys/fs/cgroup/pids"),
    )


def test_the_warning_names_the_keys_that_do_nothing() -> None:
    (lack,) = unenforceable(ResourcesConfig(memory_bytes=1, swap_bytes=0), HYBRID)
    assert lack.warning == (
        "not enforced: resources.memory, resources.swap (memory: bound to cgroup v1 at /sys/fs/cgroup/memory)"
    )


def test_io_is_blkio_in_version_1() -> None:
    config = ResourcesConfig(io=(IoLimit(device="/dev/vda", read_bps=1, weight=1),), io_weight=5)
    cgroup = replace(HYBRID, v1=(("blkio", "/sys/fs/cgroup/blkio"),))
    assert [str(lack) for lack in unenforceable(config, cgroup)] == [
        "io: bound to cgroup v1 at /sys/fs/cgroup/blkio"
    ]


def test_a_controller_that_was_not_delegated() -> None:
    cgroup = replace(everything, base="user.slice", controllers=frozenset({"pids"}))
    (lack,) = unenforceable(ResourcesConfig(cpus=1), cgroup)
    assert str(lack) == "cpu: not delegated to /sys/fs/cgroup/user.slice"


def test_a_controller_that_the_kernel_was_built_without() -> None:
    (lack,) = unenforceable(ResourcesConfig(cpus=1), replace(everything, controllers=frozenset()))
    assert str(lack) == "cpu: not in this kernel"


@given(resources, facts)
def test_every_setting_is_enforceable_or_its_key_is_named(
    config: ResourcesConfig, cgroup: CgroupFacts
) -> None:
    lacks = unenforceable(config, cgroup)
    for setting in settings(config):
        can = setting.controller in cgroup.controllers and (cgroup.io_weights or setting.file != "io.weight")
        assert (setting in enforceable(config, cgroup)) == can
        assert can or any(setting.key in lack.keys for lack in lacks if lack.controller == setting.controller)
    assert bool(lacks) == (enforceable(config, cgroup) != settings(config))


def test_weights_that_no_disk_heeds_are_lacking_and_rates_are_not() -> None:
    config = ResourcesConfig(io_weight=5, io=(IoLimit(device="/dev/vda", read_bps=1, weight=1),))
    cgroup = replace(everything, io_weights=False)
    reason = "no disk heeds weights, since io.cost.qos in /sys/fs/cgroup enables none"
    assert unenforceable(config, cgroup) == (Lack(controller="io", keys=("io_weight", "io"), reason=reason),)
    assert [setting.file for setting in enforceable(config, cgroup)] == ["io.max"]
