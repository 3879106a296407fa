"""Which rungs a zone's ladder has, and what each leaves out, without running any of them."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Interface

import pytest

from tests.unit.planning.plans import WEB, plan_of
from zonectl.bench.arms import ZONE
from zonectl.bench.layers.catalogue import LAYERS
from zonectl.bench.layers.rungs import Rung, ladder, on_top
from zonectl.bench.results import Kind
from zonectl.bench.trust import trusts_programs
from zonectl.model.config import (
    MountConfig,
    MountKind,
    NamespacesConfig,
    NetworkConfig,
    NetworkMode,
    ResourcesConfig,
    RootConfig,
    RootMode,
    SecurityConfig,
    ZoneConfig,
)
from zonectl.model.profiles import RootProfile
from zonectl.namespaces.steps.mounts import UseTree
from zonectl.namespaces.steps.process import ChangeRoot

BASE = "/srv/zones/zones/bench-0/base"
ALL = [
    *("host", "chroot", "mnt", "pid", "uts-ipc", "user", "overlay", "cgroup", "limits", "net"),
    *("seccomp", "capabilities", "masks"),
]
SPARSE = replace(WEB, root=RootConfig(host=True))


def names(config: ZoneConfig) -> list[str]:
    return [rung.facts.name for rung in ladder(config, base=BASE)]


def rung(config: ZoneConfig, name: str) -> Rung:
    (found,) = [rung for rung in ladder(config, base=BASE) if rung.facts.name == name]
    return found


def test_a_default_zone_has_them_all() -> None:
    assert names(SPARSE) == ALL
    assert [layer.name for layer in LAYERS] == [*ALL, "rest"]
    assert {rung.facts.kind for rung in ladder(SPARSE, base=BASE)} == {Kind.LAYER}


@pytest.mark.parametrize(
    ("missing", "config"),
    [
        ("user", replace(SPARSE, namespaces=NamespacesConfig(user=False))),
        ("uts-ipc", replace(SPARSE, hostname="", namespaces=NamespacesConfig(uts=False, ipc=False))),
        (
            "net",
            replace(
                SPARSE, namespaces=NamespacesConfig(net=False), network=NetworkConfig(mode=NetworkMode.HOST)
            ),
        ),
        ("overlay", replace(WEB, root=RootConfig(image="debian:12", mode=RootMode.COPY))),
        ("seccomp", replace(SPARSE, security=SecurityConfig(seccomp="off"))),
        ("capabilities", replace(SPARSE, security=SecurityConfig(capabilities=("all",)))),
        ("masks", replace(SPARSE, security=SecurityConfig(unmask=("all",)))),
    ],
)
def test_a_layer_that_the_zone_does_not_have_is_no_rung(missing: str, config: ZoneConfig) -> None:
    assert names(config) == [name for name in ALL if name != missing]


def test_each_stands_on_the_one_before_and_limits_that_the_zone_does_not_have_stand_beside() -> None:
    after = {rung.facts.name: rung.facts.after for rung in ladder(SPARSE, base=BASE)}
    chain = [name for name in ALL if name != "limits"]
    assert {name: below for name, below in after.items() if name != "limits"} == dict(
        zip(chain, ["bare", *chain], strict=False)
    )
    assert after["limits"] == "cgroup"
    assert rung(SPARSE, "net").config.resources == ResourcesConfig()


def test_limits_that_the_zone_has_are_a_rung_like_the_others() -> None:
    limited = replace(SPARSE, resources=ResourcesConfig(pids=99))
    after = {rung.facts.name: rung.facts.after for rung in ladder(limited, base=BASE)}
    assert (after["limits"], after["net"]) == ("cgroup", "limits")
    assert rung(limited, "cgroup").config.resources == ResourcesConfig()
    assert rung(limited, "limits").config.resources == limited.resources


@pytest.mark.parametrize("config", [SPARSE, replace(SPARSE, security=SecurityConfig(unmask=("all",)))])
def test_the_zone_stands_on_the_uppermost(config: ZoneConfig) -> None:
    found = ladder(config, base=BASE)
    zone = on_top(ZONE, found)
    assert (zone.name, zone.kind, zone.after) == ("zone", Kind.ZONE, found[-1].facts.name)
    assert "the rest" in zone.differs


def test_a_zone_of_few_layers_stands_on_what_it_has_and_not_beside_it() -> None:
    bare = replace(
        SPARSE,
        namespaces=NamespacesConfig(net=False),
        network=NetworkConfig(mode=NetworkMode.HOST),
        security=SecurityConfig(seccomp="off", capabilities=("all",), unmask=("all",)),
    )
    found = ladder(bare, base=BASE)
    assert found[-1].facts.name == "limits"
    assert on_top(ZONE, found).after == "cgroup"


def test_roots_below_the_overlay_are_copies_of_the_base() -> None:
    read_only = replace(WEB, root=RootConfig(image="debian:12", profile=RootProfile.STRICT, readonly=True))
    assert rung(read_only, "user").config.root == RootConfig(path=BASE, mode=RootMode.COPY)
    assert rung(read_only, "overlay").config.root == read_only.root


def test_of_a_zone_that_is_a_copy_too() -> None:
    copied = replace(WEB, root=RootConfig(tar="/srv/root.tar", mode=RootMode.COPY, readonly=True))
    found = {rung.config.root for rung in ladder(copied, base=BASE)}
    assert found == {RootConfig(path=BASE, mode=RootMode.COPY, readonly=True)}


def test_the_hosts_programs_are_mounted_where_nothing_is_laid_over_them() -> None:
    usr = MountConfig(target="/usr", source="/usr", readonly=True, suid=True)
    assert usr in rung(SPARSE, "mnt").config.mounts
    assert usr not in rung(SPARSE, "overlay").config.mounts
    assert usr not in rung(WEB, "mnt").config.mounts


def test_a_fixed_address_and_clocks_are_told_by_the_network_and_the_rest() -> None:
    config = replace(
        SPARSE,
        namespaces=NamespacesConfig(boottime_offset_s=5.0),
        network=NetworkConfig(address=IPv4Interface("10.77.0.9/16")),
        sysctl=(("net.ipv4.ip_forward", "1"),),
    )
    assert rung(config, "cgroup").config.network == NetworkConfig(mode=NetworkMode.HOST)
    assert rung(config, "net").config.network == config.network
    assert {rung.config.namespaces.boottime_offset_s for rung in ladder(config, base=BASE)} == {0.0}
    assert {rung.config.sysctl for rung in ladder(config, base=BASE)} == {()}


def test_a_network_without_a_link_is_told_as_one() -> None:
    lonely = replace(SPARSE, network=NetworkConfig(mode=NetworkMode.NONE))
    assert "loopback" in rung(lonely, "net").facts.differs


def _reshaped(name: str) -> list[str]:
    found = rung(SPARSE, name)
    plan = found.reshape(plan_of(found.config))
    return [type(step).__name__ for step in plan.steps]


def test_the_lowest_rungs_do_to_the_process_what_bare_metal_does_too() -> None:
    assert _reshaped("host") == ["CloneInit", "Rank", "JoinKeyring", "Restrict", "Execute"]
    assert _reshaped("chroot") == ["CloneInit", "Rank", "JoinKeyring", "ChangeRoot", "Restrict", "Execute"]


def test_the_root_of_a_changed_root_is_the_zones_own_copy() -> None:
    found = rung(SPARSE, "chroot")
    plan = found.reshape(plan_of(found.config))
    assert ChangeRoot(path="/srv/zones/zones/web/root") in plan.inside
    assert plan.clone.namespaces == ()


@pytest.mark.parametrize("name", ALL[2:])
def test_nothing_of_what_is_above_is_in_a_plan(name: str) -> None:
    found = rung(SPARSE, name)
    plan = found.reshape(plan_of(found.config))
    has = ALL[: ALL.index(name) + 1]
    kinds = {"mnt": "mnt", "pid": "pid", "uts": "uts-ipc", "ipc": "uts-ipc", "user": "user", "net": "net"}
    assert set(plan.clone.namespaces) == {kind for kind, layer in kinds.items() if layer in has}
    assert bool(plan.maps) == ("user" in has)
    assert bool(plan.cgroup) == bool(plan.clone.cgroup) == bool(plan.before) == ("cgroup" in has)
    assert bool(plan.links) == bool(plan.shared) == ("net" in has)
    assert (plan.restrict.seccomp is not None) == ("seccomp" in has)
    assert (UseTree(slot=0) in plan.inside) == ("overlay" not in has)
    present = {type(step).__name__ for step in plan.steps}
    assert ("MaskPaths" in present) == ("masks" in has)
    assert not present & {"EnterScaffold", "LockMounts", "ShiftClocks", "FilterDevices", "ChangeRoot"}
    assert "cgroup2" not in {getattr(step, "fstype", "") for step in plan.inside}


def test_between_the_uppermost_and_the_zone_is_the_rest_alone() -> None:
    uppermost = rung(SPARSE, "masks")
    assert uppermost.above == (LAYERS[-1],)
    whole, thinned = plan_of(SPARSE), uppermost.reshape(plan_of(uppermost.config))
    kinds = [type(step).__name__ for step in thinned.inside]
    more = [type(step).__name__ for step in whole.inside]
    assert sorted(set(more) - set(kinds)) == ["EnterScaffold", "LockMounts", "ShiftClocks"]
    assert whole.restrict == thinned.restrict
    assert whole.before == thinned.before
    assert whole.devices
    assert not thinned.devices


@pytest.mark.parametrize(
    ("trusted", "config"),
    [
        (True, SPARSE),
        (True, replace(SPARSE, mounts=(MountConfig(target="/zonectl-bench/probe", source="/srv/probe"),))),
        (True, replace(SPARSE, mounts=(MountConfig(target="/tmp", kind=MountKind.TMPFS),))),
        (False, WEB),
        (False, replace(WEB, root=RootConfig(path="/srv/root"))),
        (False, replace(SPARSE, mounts=(MountConfig(target="/usr/local", source="/srv/local"),))),
        (False, replace(SPARSE, mounts=(MountConfig(target="/zonectl-bench-not", source="/srv/x"),))),
    ],
)
def test_whose_programs_may_be_executed_without_all_walls(trusted: bool, config: ZoneConfig) -> None:
    assert trusts_programs(config) is trusted
