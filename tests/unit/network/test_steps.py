"""Which steps a configuration asks for, and what they say of themselves."""

from __future__ import annotations

import subprocess
import sys
from ipaddress import ip_interface

import pytest

from zonectl.model.config import NetworkConfig, NetworkMode
from zonectl.model.instance import Instance
from zonectl.model.steps import Binding, Side, Step
from zonectl.network.steps import (
    DefaultRoute,
    DisableIpv6,
    EnsureBridge,
    EnsureForwarding,
    EnsureGate,
    EnsureTable,
    FixIpv6,
    LinkUp,
    LoopbackUp,
    MakeVeth,
    SetAddress,
    host_steps,
    inside_steps,
    mark,
    owner_mark,
    shared_steps,
)

DEFAULT = Instance()
OTHER = Instance(root="/srv/zones")
UNBOUND = Binding.unbound(zone_dir="/z", layers=())
BOUND = Binding(
    zone_id="0a1b2c3d",
    first_id="65536",
    address="10.77.0.5/16",
    gateway="10.77.0.1",
    zone_dir="/z",
    layers=(),
)
CONFIGS = [
    NetworkConfig(),
    NetworkConfig(mode=NetworkMode.NONE),
    NetworkConfig(mode=NetworkMode.HOST),
    NetworkConfig(subnet="fd00:77::/64", address=ip_interface("fd00:77::5/64")),
    NetworkConfig(isolated=False, nat=False, mtu=1400, gateway="10.77.9.9"),
]


def every(config: NetworkConfig, binding: Binding) -> list[Step]:
    return [
        *shared_steps(config, OTHER),
        *host_steps(config, OTHER, binding),
        *inside_steps(config, binding),
    ]


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("binding", [BOUND, UNBOUND])
def test_every_step_says_what_it_does(config: NetworkConfig, binding: Binding) -> None:
    for step in every(config, binding):
        assert isinstance(step, Step)
        assert step.summary
        assert step.summary[0].islower()
        assert step.calls
        assert all(call.man.endswith(")") for call in step.calls)


@pytest.mark.parametrize("config", CONFIGS)
def test_only_values_differ_between_what_is_printed_and_what_is_applied(config: NetworkConfig) -> None:
    printed, applied = every(config, UNBOUND), every(config, BOUND)
    assert [type(step) for step in printed] == [type(step) for step in applied]
    assert [[call.name for call in step.calls] for step in printed] == [
        [call.name for call in step.calls] for step in applied
    ]


def test_a_zone_on_a_bridge() -> None:
    shared = shared_steps(NetworkConfig(), DEFAULT)
    assert [type(step) for step in shared] == [EnsureBridge, EnsureGate, EnsureForwarding, EnsureTable]
    (veth,) = host_steps(NetworkConfig(), DEFAULT, BOUND)
    assert veth == MakeVeth(link="z0a1b2c3da", bridge="zbr0", mac="02:7a:0a:4d:00:05", isolated=True)
    assert len(veth.link) <= 15
    inside = inside_steps(NetworkConfig(), BOUND)
    assert [type(step) for step in inside] == [LoopbackUp, DisableIpv6, SetAddress, LinkUp, DefaultRoute]
    assert {step.side for step in inside} == {Side.INSIDE}
    assert {step.side for step in (*shared, veth)} == {Side.HOST}


def test_ipv6_is_fixed_where_it_is_configured() -> None:
    config = NetworkConfig(subnet="fd00:77::/64")
    assert FixIpv6() in inside_steps(config, BOUND)
    assert DisableIpv6() not in inside_steps(config, BOUND)
    assert EnsureForwarding(family="ipv6") in shared_steps(config, DEFAULT)


def test_no_network_is_loopback_alone_and_the_hosts_is_nothing() -> None:
    for mode, expected in ((NetworkMode.NONE, (LoopbackUp(),)), (NetworkMode.HOST, ())):
        config = NetworkConfig(mode=mode)
        assert shared_steps(config, DEFAULT) == ()
        assert host_steps(config, DEFAULT, BOUND) == ()
        assert inside_steps(config, BOUND) == expected


def test_the_bridge_has_the_first_address_or_the_one_given() -> None:
    assert _bridge(NetworkConfig()).address == "10.77.0.1/16"
    assert _bridge(NetworkConfig(gateway="10.77.9.9")).address == "10.77.9.9/16"
    assert _bridge(NetworkConfig(subnet="fd00:77::/64")).address == "fd00:77::1/64"


def _bridge(config: NetworkConfig) -> EnsureBridge:
    step = shared_steps(config, DEFAULT)[0]
    assert isinstance(step, EnsureBridge)
    return step


def test_what_is_not_known_yet_is_printed_by_its_name() -> None:
    text = str(every(NetworkConfig(), UNBOUND))
    assert "<address: leased>" in text
    assert "<mac: of the address>" in text


@pytest.mark.parametrize("instance", [DEFAULT, OTHER])
def test_marks_tell_instances_apart(instance: Instance) -> None:
    other = OTHER if instance is DEFAULT else DEFAULT
    for nat in (True, False):
        assert mark(instance, nat=nat).startswith(owner_mark(instance))
        assert not mark(other, nat=nat).startswith(owner_mark(instance))
        assert _bridge(NetworkConfig(nat=nat)).owner == owner_mark(DEFAULT)


def test_planning_imports_no_machinery() -> None:
    machinery = "{'socket', 'ctypes', 'subprocess', 'pyroute2'}"
    program = f"import sys, zonectl.network.steps; print(*({machinery} & {{*sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
