"""Who reaches whom, seen from both ends."""

from __future__ import annotations

import dataclasses
import os

import pytest

from tests.kernel.network.world import (
    INSTANCE,
    World,
    entered,
    in_threads,
    in_world,
    is_blocked,
    new_namespace,
    reaches,
    run,
    settings,
)
from tests.patience import until
from zonectl.errors import HostLacks, SyscallError
from zonectl.model.config import NetworkConfig
from zonectl.network import inside, status, veth
from zonectl.network.addresses import zone_mac
from zonectl.network.steps import DefaultRoute, MakeVeth, SetAddress

pytestmark = pytest.mark.requires("root", "veth", "bridge", "nft", "program:ip")

IPV4 = NetworkConfig()
OPEN = NetworkConfig(isolated=False)
IPV6 = NetworkConfig(subnet="fd00:77::/64")
BRIDGED_FRAMES_FILTERED = "/proc/sys/net/bridge/bridge-nf-call-iptables"


def test_host_and_zone_reach_each_other_by_their_addresses() -> None:
    def test(world: World) -> None:
        world.share(IPV4)
        zone = world.zone4(2)
        assert reaches(world.host, zone.namespace, zone.ip) == "10.77.0.1"
        assert reaches(zone.namespace, world.host, "10.77.0.1") == zone.ip
        assert reaches(zone.namespace, zone.namespace, "127.0.0.1") == "127.0.0.1"

    in_world(test)


def test_the_outside_sees_the_hosts_address() -> None:
    def test(world: World) -> None:
        world.share(IPV4)
        zone = world.zone4(2)
        assert reaches(zone.namespace, world.outside, "192.0.2.2") == "192.0.2.1"

    in_world(test)


def test_without_nat_the_outside_sees_the_zones_address() -> None:
    def test(world: World) -> None:
        routed = dataclasses.replace(IPV4, nat=False)
        world.share(routed)
        zone = world.zone4(2, routed)
        with entered(world.outside):
            run("ip", "route", "add", "10.77.0.0/16", "via", "192.0.2.1")
        assert reaches(zone.namespace, world.outside, "192.0.2.2") == zone.ip

    in_world(test)


def test_the_outside_reaches_no_zone_unless_rules_and_gate_are_gone() -> None:
    def test(world: World) -> None:
        world.share(IPV4)
        zone = world.zone4(2)
        with entered(world.outside):
            run("ip", "route", "add", "10.77.0.0/16", "via", "192.0.2.1")
        assert is_blocked(world.outside, zone.namespace, zone.ip)
        # Two protections, each enough alone.
        run("nft", "flush", "ruleset")
        assert is_blocked(world.outside, zone.namespace, zone.ip)
        world.share(IPV4)
        world.remove_gate()
        assert is_blocked(world.outside, zone.namespace, zone.ip)
        run("nft", "flush", "ruleset")
        assert reaches(world.outside, zone.namespace, zone.ip) == "192.0.2.2"

    in_world(test)


@pytest.mark.requires("br_netfilter")
@pytest.mark.parametrize("filtered", ["0", "1"])
def test_isolated_zones_do_not_reach_each_other_and_open_ones_do(filtered: str) -> None:
    def test(world: World) -> None:
        settings(BRIDGED_FRAMES_FILTERED, filtered)
        world.share(IPV4)
        one, two = world.zone4(2), world.zone4(3)
        three, four = world.zone4(4, OPEN), world.zone4(5, OPEN)
        assert reaches(three.namespace, four.namespace, four.ip) == three.ip
        assert is_blocked(one.namespace, two.namespace, two.ip)
        # Two protections, each enough alone.
        run("nft", "delete", "table", "bridge", INSTANCE.table)
        assert is_blocked(one.namespace, two.namespace, two.ip)
        world.share(IPV4)
        run("ip", "link", "set", one.step.link, "type", "bridge_slave", "isolated", "off")
        assert is_blocked(one.namespace, two.namespace, two.ip)
        run("nft", "delete", "table", "bridge", INSTANCE.table)
        assert reaches(one.namespace, two.namespace, two.ip) == one.ip

    in_world(test)


def test_an_isolated_zone_and_an_open_one_do_not_reach_each_other() -> None:
    def test(world: World) -> None:
        world.share(IPV4)
        isolated, neighbour = world.zone4(2), world.zone4(3, OPEN)
        assert is_blocked(isolated.namespace, neighbour.namespace, neighbour.ip)
        assert is_blocked(neighbour.namespace, isolated.namespace, isolated.ip)
        run("nft", "flush", "chain", "bridge", INSTANCE.table, "forward")
        assert reaches(isolated.namespace, neighbour.namespace, neighbour.ip) == isolated.ip

    in_world(test)


def test_the_host_does_not_carry_packets_from_zone_to_zone() -> None:
    def test(world: World) -> None:
        world.share(IPV4)
        one, two = world.zone4(2), world.zone4(3)
        for here, there in ((one, two), (two, one)):
            with entered(here.namespace):
                run("ip", "route", "add", f"{there.ip}/32", "via", "10.77.0.1")
        assert is_blocked(one.namespace, two.namespace, two.ip)
        run("nft", "delete", "table", "inet", INSTANCE.table)
        assert is_blocked(one.namespace, two.namespace, two.ip)
        world.remove_gate()
        assert reaches(one.namespace, two.namespace, two.ip) == one.ip

    in_world(test)


def test_zones_on_two_bridges_do_not_reach_each_other() -> None:
    def test(world: World) -> None:
        other = NetworkConfig(bridge="zbr-1.x", subnet="10.78.0.0/24")
        world.share(IPV4)
        world.share(other)
        one, two = world.zone4(2), world.zone(other, "10.78.0.2/24", "10.78.0.1")
        assert is_blocked(one.namespace, two.namespace, two.ip)
        for zone in (one, two):
            assert reaches(zone.namespace, world.outside, "192.0.2.2") == "192.0.2.1"

    in_world(test)


def test_a_zone_with_ipv6_reaches_host_and_outside() -> None:
    def test(world: World) -> None:
        world.share(IPV6)
        zone = world.zone(IPV6, "fd00:77::5/64", "fd00:77::1")
        _outside_has_ipv6(world)
        assert reaches(zone.namespace, world.host, "fd00:77::1") == zone.ip
        assert reaches(world.host, zone.namespace, zone.ip) == "fd00:77::1"
        assert reaches(zone.namespace, world.outside, "2001:db8::2") == "2001:db8::1"
        with entered(zone.namespace):
            assert "fe80" not in run("ip", "-6", "address", "show", "dev", "eth0")

    in_world(test)


def test_global_ipv6_addresses_are_not_translated() -> None:
    def test(world: World) -> None:
        config = NetworkConfig(subnet="2001:db8:77::/64")
        world.share(config)
        zone = world.zone(config, "2001:db8:77::5/64", "2001:db8:77::1")
        _outside_has_ipv6(world)
        with entered(world.outside):
            run("ip", "route", "add", "2001:db8:77::/64", "via", "2001:db8::1")
        assert reaches(zone.namespace, world.outside, "2001:db8::2") == zone.ip

    in_world(test)


def test_ipv4_and_ipv6_zones_share_a_bridge() -> None:
    def test(world: World) -> None:
        world.share(IPV4)
        four = world.zone4(2)
        world.share(IPV6)
        six = world.zone(IPV6, "fd00:77::5/64", "fd00:77::1")
        world.share(IPV4)
        assert reaches(world.host, four.namespace, four.ip) == "10.77.0.1"
        assert reaches(world.host, six.namespace, six.ip) == "fd00:77::1"

    in_world(test)


def test_ipv6_is_off_unless_configured() -> None:
    def test(world: World) -> None:
        world.share(IPV4)
        zone = world.zone4(2)
        for namespace, link in ((world.host, zone.step.link), (world.host, "zbr0"), (zone.namespace, "eth0")):
            with entered(namespace):
                assert run("ip", "-6", "address", "show", "dev", link) == ""
        with entered(zone.namespace):
            assert "::1/128" in run("ip", "-6", "address", "show", "dev", "lo")

    in_world(test)


def test_mtu_holds_at_both_ends() -> None:
    def test(world: World) -> None:
        config = NetworkConfig(mtu=1400)
        world.share(config)
        zone = world.zone4(2, config)
        assert "mtu 1400" in run("ip", "link", "show", zone.step.link)
        with entered(zone.namespace):
            assert "mtu 1400" in run("ip", "link", "show", "eth0")

    in_world(test)


def test_undo_is_idempotent_and_takes_both_ends() -> None:
    def test(world: World) -> None:
        world.share(IPV4)
        zone = world.zone4(2)
        veth.undo(zone.step)
        veth.undo(zone.step)
        with entered(zone.namespace):
            assert "eth0" not in run("ip", "link")
        assert "02:7a:0a:4d:00:02" not in run("bridge", "fdb")

    in_world(test)


def test_a_link_left_by_a_former_run_is_replaced() -> None:
    def test(world: World) -> None:
        world.share(IPV4)
        former = world.zone4(2)
        world.zones.clear()
        again = world.zone4(2)
        assert again.step == former.step
        assert reaches(world.host, again.namespace, again.ip) == "10.77.0.1"

    in_world(test)


def test_an_address_taken_over_from_a_zone_not_yet_reaped_works() -> None:
    def test(world: World) -> None:
        world.share(IPV4)
        world.zone4(2)
        heir = world.zone4(2)
        assert reaches(world.host, heir.namespace, heir.ip) == "10.77.0.1"

    in_world(test)


def test_two_ipv6_addresses_with_one_link_address_are_refused() -> None:
    def test(world: World) -> None:
        world.share(IPV6)
        world.zone(IPV6, "fd00:77::5/64", "fd00:77::1")
        with pytest.raises(HostLacks, match=r"network\.address: another zone on zbr0"):
            world.zone(IPV6, "fd00:77::1:0:5/64", "fd00:77::1")

    in_world(test)


def test_a_missing_bridge_is_named() -> None:
    def test(world: World) -> None:
        with pytest.raises(HostLacks, match="the bridge zbr0 is gone"):
            world.zone4(2)

    in_world(test)


def test_refusals_have_the_kernels_words() -> None:
    def test(_world: World) -> None:
        with pytest.raises(SyscallError, match=r"Nexthop has invalid gateway|unreachable") as raised:
            inside.apply(DefaultRoute(gateway="203.0.113.1"))
        assert raised.value.detail
        with pytest.raises(SyscallError, match="if_nametoindex eth0"):
            inside.apply(SetAddress(address="10.0.0.1/8"))

    in_world(test)


def test_the_end_of_the_namespace_takes_the_link() -> None:
    def test(world: World) -> None:
        world.share(IPV4)
        zone = world.zone4(2)
        os.close(zone.namespace)
        until(lambda: zone.step.link not in run("ip", "link"))
        assert zone.step.mac not in run("bridge", "fdb")

    in_world(test)


def test_status_tells_what_is_missing() -> None:
    def test(world: World) -> None:
        world.share(IPV4)
        zone = world.zone4(2)

        def problems() -> tuple[str, ...]:
            return status.inspect(INSTANCE, "00000001", bridge="zbr0").problems

        assert problems() == ()
        run("ip", "link", "set", zone.step.link, "nomaster")
        assert problems() == ("its link is on no bridge",)
        run("ip", "link", "del", zone.step.link)
        assert problems() == ("its link is gone",)
        run("nft", "flush", "ruleset")
        assert problems() == ("its link is gone", "its firewall rules are gone or altered")
        run("ip", "link", "del", "zbr0")
        assert problems() == ("its link is gone", "its bridge is gone")

    in_world(test)


def test_rules_that_may_not_be_looked_at_are_not_called_altered() -> None:
    def test(world: World) -> None:
        world.share(IPV4)
        world.zone4(2)
        os.setresuid(65534, 65534, 65534)
        with pytest.raises(SyscallError):
            status.inspect(INSTANCE, "00000001", bridge="zbr0")

    in_world(test)


def test_fifty_at_once() -> None:
    def test(world: World) -> None:
        world.share(IPV4)
        namespaces = [new_namespace() for _ in range(50)]

        def connect(number: int) -> None:
            address = f"10.77.1.{number + 1}/16"
            step = MakeVeth(link=f"z{number:08x}a", bridge="zbr0", mac=zone_mac(address), isolated=True)
            veth.apply(step, netns_fd=namespaces[number])

        assert in_threads(50, connect) == []
        ports = run("ip", "-o", "link", "show", "master", "zbr0").splitlines()
        # Where the kernel has VLAN filtering, each is there for the port's default VLAN too.
        static = {line.split()[0] for line in run("bridge", "fdb").splitlines() if line.endswith("static")}
        assert (len(ports), len(static)) == (50, 50)
        for namespace in namespaces:
            with entered(namespace):
                assert "eth0" in run("ip", "link")

    in_world(test)


def _outside_has_ipv6(world: World) -> None:
    run("ip", "address", "add", "2001:db8::1/64", "dev", "up0", "nodad")
    with entered(world.outside):
        run("ip", "address", "add", "2001:db8::2/64", "dev", "o0", "nodad")
