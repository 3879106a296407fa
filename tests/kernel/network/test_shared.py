"""What zones share: made once, mended whatever was broken, refused where it is somebody else's, removed at the end."""

from __future__ import annotations

import dataclasses
import os
import threading
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kernel.network.world import (
    INSTANCE,
    OTHER_INSTANCE,
    World,
    entered,
    in_threads,
    in_world,
    is_blocked,
    reaches,
    run,
    settings,
)
from tests.patience import until
from zonectl.errors import HostLacks
from zonectl.kernel import proc
from zonectl.model.config import NetworkConfig
from zonectl.model.instance import Instance
from zonectl.network import nftables, shared
from zonectl.network.addresses import bridge_mac
from zonectl.network.steps import shared_steps

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.requires("root", "veth", "bridge", "nft", "program:ip")

CONFIG = NetworkConfig()
TABLE = INSTANCE.table
STEPS = shared_steps(CONFIG, INSTANCE)
OTHER_BRIDGE = NetworkConfig(bridge="zbr1", subnet="10.78.0.0/16")


class Lock:
    """Counts how often it was held."""

    held = 0

    @contextmanager
    def hold(self) -> Iterator[None]:
        self.held += 1
        yield


BREAKAGES = [
    "ip link del zbr0",
    "ip link set zbr0 down",
    "ip address flush dev zbr0",
    "ip link set zbr0 address 02:00:00:00:00:01",
    "nft flush ruleset",
    f"nft delete table inet {TABLE}",
    f"nft delete table bridge {TABLE}",
    f"nft flush table inet {TABLE}",
    f"nft flush chain inet {TABLE} to_zbr0",
    f"nft flush chain inet {TABLE} from_zbr0",
    f"nft flush chain bridge {TABLE} pin_ipv4",
    f"nft flush chain bridge {TABLE} forward",
    f"nft insert rule inet {TABLE} to_zbr0 accept",
    f"nft add table inet {TABLE} {{ flags dormant; }}",
    f"nft flush chain inet {TABLE} admit",
    "sysctl -qw net.ipv4.ip_forward=0",
    "ip rule delete priority 123",
    "sysctl -qw net.ipv4.conf.zbr0.rp_filter=0",
]


def test_nothing_to_do_takes_no_lock() -> None:
    def test(_world: World) -> None:
        lock = Lock()
        shared.ensure(STEPS, lock=lock.hold())
        assert lock.held == 1
        shared.ensure(STEPS, lock=lock.hold())
        assert lock.held == 1

    in_world(test)


@pytest.mark.parametrize("breakage", BREAKAGES)
@pytest.mark.fault(
    "tables deleted, flushed, altered, dormant; the bridge down, without address; forwarding off",
    "it is noticed, and the next start mends it",
)
def test_what_was_broken_is_mended(breakage: str) -> None:
    def test(world: World) -> None:
        world.share(CONFIG)
        run(*breakage.split())
        assert not all(shared.holds(step) for step in STEPS)
        world.share(CONFIG)
        assert all(shared.holds(step) for step in STEPS)
        zone = world.zone4(2)
        assert reaches(zone.namespace, world.outside, "192.0.2.2") == "192.0.2.1"

    in_world(test)


def test_mending_gives_running_zones_of_other_bridges_their_rules_back() -> None:
    def test(world: World) -> None:
        world.share(OTHER_BRIDGE)
        zone = world.zone(OTHER_BRIDGE, "10.78.0.2/16", "10.78.0.1")
        run("nft", "flush", "ruleset")
        assert is_blocked(zone.namespace, world.outside, "192.0.2.2")
        world.share(CONFIG)
        assert reaches(zone.namespace, world.outside, "192.0.2.2") == "192.0.2.1"

    in_world(test)


@pytest.mark.fault("the maker of a bridge is killed half-way", "the next zone finishes it")
def test_a_bridge_whose_maker_was_killed_is_finished() -> None:
    def test(world: World) -> None:
        run("ip", "link", "add", "zbr0", "address", bridge_mac(TABLE, "zbr0"), "type", "bridge")
        world.share(CONFIG)
        assert all(shared.holds(step) for step in STEPS)

    in_world(test)


def test_a_bridge_whose_maker_was_killed_is_removed_with_the_others() -> None:
    def test(world: World) -> None:
        run("ip", "link", "add", "zbr0", "address", bridge_mac(TABLE, "zbr0"), "type", "bridge")
        run(
            "ip", "link", "add", "zbr1", "address", bridge_mac(OTHER_INSTANCE.table, "zbr1"), "type", "bridge"
        )
        assert shared.teardown(INSTANCE, lock=nullcontext()) == ("zbr0",)
        assert "zbr1" in run("ip", "-br", "link")

    in_world(test)


def test_a_bridge_of_somebody_elses_is_refused_and_left_alone() -> None:
    def test(world: World) -> None:
        run("ip", "link", "add", "zbr0", "type", "bridge")
        before = run("ip", "-d", "address", "show", "dev", "zbr0")
        with pytest.raises(HostLacks, match=r"network\.bridge: the bridge zbr0 is not one that zonectl made"):
            world.share(CONFIG)
        shared.teardown(INSTANCE, lock=nullcontext())
        assert _without_timers(run("ip", "-d", "address", "show", "dev", "zbr0")) == _without_timers(before)

    in_world(test)


def test_another_instances_bridge_is_refused() -> None:
    def test(world: World) -> None:
        world.share(CONFIG, OTHER_INSTANCE)
        with pytest.raises(HostLacks, match=r"network\.bridge: the bridge zbr0 is another instance's"):
            world.share(CONFIG)
        default = Instance()
        with pytest.raises(HostLacks, match=r"another instance's"):
            world.share(CONFIG, default)

    in_world(test)


def test_a_link_that_is_no_bridge_is_refused() -> None:
    def test(world: World) -> None:
        with pytest.raises(HostLacks, match=r"network\.bridge: up0 is a link of another kind"):
            world.share(dataclasses.replace(CONFIG, bridge="up0"))

    in_world(test)


@pytest.mark.parametrize("subnet", ["192.0.2.0/24", "192.0.0.0/16", "192.0.2.128/25"])
def test_a_subnet_that_the_host_reaches_elsewhere_is_refused(subnet: str) -> None:
    def test(world: World) -> None:
        config = dataclasses.replace(CONFIG, subnet=subnet)
        with pytest.raises(HostLacks, match=r"network\.subnet: .* overlaps 192\.0\.2\.0/24, .* by up0"):
            world.share(config)

    in_world(test)


def test_a_wider_route_by_a_gateway_is_not_in_the_way() -> None:
    def test(world: World) -> None:
        run("ip", "route", "add", "default", "via", "192.0.2.2")
        run("ip", "route", "add", "10.0.0.0/8", "via", "192.0.2.2")
        world.share(CONFIG)

    in_world(test)


def test_zones_of_a_bridge_must_agree_on_nat_while_one_is_connected() -> None:
    def test(world: World) -> None:
        routed = dataclasses.replace(CONFIG, nat=False)
        world.share(CONFIG)
        world.share(routed)
        world.share(CONFIG)
        world.zone4(2)
        with pytest.raises(HostLacks, match=r"network\.nat: the zones on zbr0 are masqueraded now"):
            world.share(routed)
        world.share(CONFIG)

    in_world(test)


def test_a_second_subnet_joins_the_first() -> None:
    def test(world: World) -> None:
        second = dataclasses.replace(CONFIG, subnet="10.79.0.0/24")
        world.share(CONFIG)
        world.share(second)
        one, two = world.zone4(2), world.zone(second, "10.79.0.2/24", "10.79.0.1")
        for zone in (one, two):
            assert reaches(zone.namespace, world.outside, "192.0.2.2") == "192.0.2.1"

    in_world(test)


def test_teardown_leaves_nothing_and_is_idempotent() -> None:
    def test(world: World) -> None:
        before = run("ip", "-o", "link"), run("nft", "list", "ruleset"), run("ip", "rule")
        world.share(CONFIG)
        world.share(OTHER_BRIDGE)
        assert sorted(shared.teardown(INSTANCE, lock=nullcontext())) == ["zbr0", "zbr1"]
        assert shared.teardown(INSTANCE, lock=nullcontext()) == ()
        assert (run("ip", "-o", "link"), run("nft", "list", "ruleset"), run("ip", "rule")) == before

    in_world(test)


def test_another_instance_is_untouched_by_repair_and_teardown() -> None:
    def test(world: World) -> None:
        theirs = shared_steps(OTHER_BRIDGE, OTHER_INSTANCE)
        world.share(OTHER_BRIDGE, OTHER_INSTANCE)
        rules = _handles(OTHER_INSTANCE.table)
        world.share(CONFIG)
        run("nft", "delete", "table", "inet", TABLE)
        world.share(CONFIG)
        shared.teardown(INSTANCE, lock=nullcontext())
        assert all(shared.holds(step) for step in theirs)
        assert _handles(OTHER_INSTANCE.table) == rules

    in_world(test)


def test_forwarding_ipv6_keeps_the_routes_that_routers_advertise() -> None:
    def test(world: World) -> None:
        settings("/proc/sys/net/ipv6/conf/up0/accept_ra", "1")
        world.share(NetworkConfig(subnet="fd00:77::/64"))
        assert Path("/proc/sys/net/ipv6/conf/all/forwarding").read_text(encoding="ascii") == "1\n"
        assert Path("/proc/sys/net/ipv6/conf/up0/accept_ra").read_text(encoding="ascii") == "2\n"
        assert Path("/proc/sys/net/ipv6/conf/zbr0/accept_ra").read_text(encoding="ascii") == "0\n"

    in_world(test)


def test_a_failing_nft_is_told_with_its_words() -> None:
    def test(world: World) -> None:
        broken = dataclasses.replace(CONFIG, bridge="a+b")
        with pytest.raises(HostLacks, match="the rules of the network cannot be set: nft: "):
            world.share(broken)

    in_world(test)


@pytest.mark.fault(
    "nft hangs, with a child in a session of its own",
    "said within the time-out; both are killed; the next time, with a good nft, all is made",
)
def test_an_nft_that_hangs_is_stopped(tmp_path: Path) -> None:
    nft, pid_file = tmp_path / "nft", tmp_path / "pid"
    nft.write_text(f"#!/bin/sh\nsetsid sh -c 'echo $$ >{pid_file}; exec sleep 1000' &\nsleep 1000\n")
    nft.chmod(0o755)

    def test(world: World) -> None:
        path = os.environ["PATH"]
        os.environ["PATH"] = f"{tmp_path}:{path}"
        nftables._NFT_TIMEOUT_S = 3.0  # type: ignore[misc]
        with pytest.raises(HostLacks, match="not done in 3 s"):
            world.share(CONFIG)
        os.environ["PATH"] = path
        # A signal sent is not yet a process ended.
        pid = int(pid_file.read_text())
        until(lambda: proc.process_state(pid) in {None, "Z", "X"})
        world.share(CONFIG)
        assert all(shared.holds(step) for step in STEPS)

    in_world(test)


def _handles(table: str) -> list[str]:
    """The rules of a table with their handles, which change when they are replaced."""
    return run("nft", "-a", "list", "table", "inet", table).splitlines()


def _without_timers(text: str) -> str:
    return " ".join(word for word in text.split() if "." not in word)


def test_many_at_once_make_one() -> None:
    def test(world: World) -> None:
        lock = threading.Lock()

        def share(_number: int) -> None:
            with entered(world.host):
                shared.ensure(STEPS, lock=lock)

        assert in_threads(6, share) == []
        assert all(shared.holds(step) for step in STEPS)

    in_world(test)
