"""A lost firewall fails closed: what its rules have not seen is not routed, and is once the gate is gone too."""

from __future__ import annotations

import dataclasses
import socket
import struct
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

from tests.kernel.network.world import (
    INSTANCE,
    OTHER_INSTANCE,
    PATIENCE_S,
    SHORT_S,
    World,
    Zone,
    entered,
    in_world,
    is_blocked,
    listening,
    reaches,
    run,
    settings,
)
from zonectl.model.config import NetworkConfig
from zonectl.network import shared, status
from zonectl.network.ruleset import MARK_PINNED, MARK_SEEN
from zonectl.network.steps import shared_steps

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.requires("root", "veth", "bridge", "nft", "program:ip")

TABLE = INSTANCE.table
ROUTED4 = NetworkConfig(nat=False)
ROUTED6 = NetworkConfig(subnet="2001:db8:77::/64")
OUTSIDE = {False: "192.0.2.2", True: "2001:db8::2"}

LOSSES = {
    "all tables flushed": "nft flush ruleset",
    "table inet deleted": f"nft delete table inet {TABLE}",
    "table inet flushed": f"nft flush table inet {TABLE}",
    "table bridge deleted": f"nft delete table bridge {TABLE}",
    "table bridge flushed": f"nft flush table bridge {TABLE}",
}
LOST_FIREWALL = pytest.mark.fault(
    "the firewall of a running zone is lost: all of it, either table, deleted or flushed, over IPv4 and IPv6",
    "nothing goes from zone to outside or back, not even one way; it does once the gate is gone too",
)


def _zone(world: World, config: NetworkConfig) -> Zone:
    """A zone that the outside has a route to, both ways tried."""
    world.share(config)
    if config is not ROUTED6:
        zone = world.zone4(2, config)
        with entered(world.outside):
            run("ip", "route", "add", "10.77.0.0/16", "via", "192.0.2.1")
        return zone
    zone = world.zone(config, "2001:db8:77::5/64", "2001:db8:77::1")
    run("ip", "address", "add", "2001:db8::1/64", "dev", "up0", "nodad")
    with entered(world.outside):
        run("ip", "address", "add", "2001:db8::2/64", "dev", "o0", "nodad")
        run("ip", "route", "add", "2001:db8:77::/64", "via", "2001:db8::1")
    return zone


def _is_lost(here: int, there: int, address: str, *, mark: int = 0) -> bool:
    """Whether no datagram comes from one namespace to `address` in another; where one would, it does so at once."""
    return not _arrives(here, there, address, mark=mark, patience_s=SHORT_S)


def _arrives(here: int, there: int, address: str, *, mark: int = 0, patience_s: float = PATIENCE_S) -> bool:
    """Whether datagrams, of the mark if one is given, come from one namespace to `address` in another."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with entered(there):
        server = socket.socket(family, socket.SOCK_DGRAM)
    with entered(here):
        client = socket.socket(family, socket.SOCK_DGRAM)
    with server, client:
        server.bind((address, 7778))
        server.settimeout(0.1)
        if mark:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, struct.pack("I", mark))
        end = time.monotonic() + patience_s
        while time.monotonic() < end:
            try:
                client.sendto(b"one way", (address, 7778))
                server.recv(100)
            except OSError:
                continue
            return True
        return False


@LOST_FIREWALL
@pytest.mark.parametrize("config", [ROUTED4, ROUTED6], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("loss", LOSSES)
def test_nothing_passes_without_the_firewall(loss: str, config: NetworkConfig) -> None:
    def test(world: World) -> None:
        zone = _zone(world, config)
        outside, gateway = OUTSIDE[":" in zone.ip], shared_steps(config, INSTANCE)[0]
        assert reaches(zone.namespace, world.outside, outside) == zone.ip
        run(*LOSSES[loss].split())
        assert is_blocked(zone.namespace, world.outside, outside)
        assert _is_lost(zone.namespace, world.outside, outside)
        assert is_blocked(world.outside, zone.namespace, zone.ip)
        if "inet" in loss or "all" in loss:
            assert _is_lost(world.outside, zone.namespace, zone.ip)
        # What the tables have no say in goes on.
        assert reaches(world.host, zone.namespace, zone.ip)
        assert reaches(zone.namespace, world.host, gateway.address.partition("/")[0]) == zone.ip  # type: ignore[union-attr]
        world.remove_gate()
        assert _arrives(zone.namespace, world.outside, outside)
        if "inet" in loss or "all" in loss:
            assert reaches(world.outside, zone.namespace, zone.ip) == outside

    in_world(test)


@pytest.mark.parametrize(
    ("chain", "opened"),
    [
        ("inet {table} admit", None),
        ("inet {table} forward", "neighbour"),
        ("inet {table} to_zbr0", "neighbour"),
        ("inet {table} postrouting", "untranslated"),
        ("inet {table} from_zbr0", "untranslated"),
        ("bridge {table} prerouting", None),
        ("bridge {table} pin_ipv4", None),
    ],
)
def test_a_chain_emptied_alone_is_told(chain: str, opened: str | None) -> None:
    """Told always; what is open until it is mended stands in KNOWN-LIMITS.md."""

    def test(world: World) -> None:
        config = NetworkConfig()
        one = _zone(world, config)
        two = world.zone4(3)
        for here, there in ((one, two), (two, one)):
            with entered(here.namespace):
                run("ip", "route", "add", f"{there.ip}/32", "via", "10.77.0.1")
        run("nft", "flush", "chain", *chain.format(table=TABLE).split())
        told = ("its firewall rules are gone or altered",)
        assert status.inspect(INSTANCE, "00000001", bridge="zbr0").problems == told
        assert is_blocked(world.outside, one.namespace, one.ip)
        if opened == "neighbour":
            assert reaches(one.namespace, two.namespace, two.ip) == one.ip
        else:
            assert is_blocked(one.namespace, two.namespace, two.ip)
        if opened is None:
            assert _is_lost(one.namespace, world.outside, OUTSIDE[False])
        else:
            source = one.ip if opened == "untranslated" else "192.0.2.1"
            assert reaches(one.namespace, world.outside, OUTSIDE[False]) == source
        world.share(config)
        assert status.inspect(INSTANCE, "00000001", bridge="zbr0").problems == ()
        assert is_blocked(one.namespace, two.namespace, two.ip)
        assert reaches(one.namespace, world.outside, OUTSIDE[False]) == "192.0.2.1"

    in_world(test)


@pytest.mark.fault(
    "the firewall is lost below an open connection of a zone",
    "it stands still; once the firewall is put back, it goes on",
)
@pytest.mark.parametrize("config", [ROUTED4, ROUTED6], ids=["ipv4", "ipv6"])
def test_an_open_connection_stands_still(config: NetworkConfig) -> None:
    def test(world: World) -> None:
        zone = _zone(world, config)
        outside = OUTSIDE[":" in zone.ip]
        with listening(world.outside, outside) as server:
            with entered(zone.namespace):
                client = socket.create_connection((outside, 7777), PATIENCE_S)
            peer, _ = server.accept()
            with client, peer:
                _exchange(client, peer)
                run("nft", "flush", "ruleset")
                for sender, receiver in ((client, peer), (peer, client)):
                    receiver.settimeout(SHORT_S)
                    sender.send(b"lost")
                    with pytest.raises(TimeoutError):
                        receiver.recv(4)
                world.share(config)
                for receiver in (client, peer):
                    receiver.settimeout(2 * PATIENCE_S)
                    assert receiver.recv(4) == b"lost"

    in_world(test)


def _exchange(client: socket.socket, peer: socket.socket) -> None:
    for sender, receiver in ((client, peer), (peer, client)):
        receiver.settimeout(PATIENCE_S)
        sender.send(b"here")
        assert receiver.recv(4) == b"here"


@pytest.mark.parametrize("config", [ROUTED4, ROUTED6], ids=["ipv4", "ipv6"])
def test_a_zone_cannot_mark_its_packets_itself(config: NetworkConfig) -> None:
    def test(world: World) -> None:
        zone = _zone(world, config)
        outside = OUTSIDE[":" in zone.ip]
        run("nft", "flush", "ruleset")
        for mark in (MARK_SEEN, MARK_PINNED, MARK_SEEN | MARK_PINNED, 0xFFFFFFFF):
            assert _is_lost(zone.namespace, world.outside, outside, mark=mark)
        # And a mark is what it would take.
        _chain("prerouting priority mangle", f"meta mark set meta mark | {MARK_SEEN:#x}")
        assert _arrives(zone.namespace, world.outside, outside)

    in_world(test)


@pytest.mark.parametrize("strictness", ["0", "1", "2"])
@pytest.mark.parametrize("config", [NetworkConfig(), ROUTED4], ids=["nat", "routed"])
def test_a_host_that_checks_sources_hears_the_answers(config: NetworkConfig, strictness: str) -> None:
    """The check asks for the way back, which a rule must not refuse (rp_filter; many hosts have 1 or 2)."""

    def test(world: World) -> None:
        for link in ("all", "default", "up0"):
            settings(f"/proc/sys/net/ipv4/conf/{link}/rp_filter", strictness)
        zone = _zone(world, config)
        assert reaches(zone.namespace, world.outside, "192.0.2.2")
        assert reaches(world.host, zone.namespace, zone.ip) == "10.77.0.1"
        assert reaches(zone.namespace, world.host, "192.0.2.1") == zone.ip
        # As systemd-udevd does to each new link.
        settings("/proc/sys/net/ipv4/conf/zbr0/rp_filter", "2")
        assert all(shared.holds(step) for step in shared_steps(config, INSTANCE))
        run("nft", "flush", "ruleset")
        assert _is_lost(zone.namespace, world.outside, "192.0.2.2")

    in_world(test)


def test_marks_of_others_stay_and_ours_goes() -> None:
    def test(world: World) -> None:
        zone = _zone(world, NetworkConfig())
        _chain("postrouting priority 300", "meta mark != 0x5 drop")
        assert is_blocked(zone.namespace, world.outside, "192.0.2.2")
        _chain("prerouting priority mangle", "meta mark set meta mark | 0x5")
        assert reaches(zone.namespace, world.outside, "192.0.2.2") == "192.0.2.1"

    in_world(test)


def _chain(hook: str, rule: str) -> None:
    """A chain of somebody else's."""
    name = hook.partition(" ")[0]
    head = f"type filter hook {hook};"
    run("nft", "-f", "-", stdin=f"table inet theirs {{\nchain {name} {{\n{head}\n{rule}\n}}\n}}\n")


def _delete_rule(_zone: Zone) -> None:
    run("ip", "rule", "delete", "priority", "123")


def _delete_way_round(_zone: Zone) -> None:
    run("ip", "rule", "delete", "priority", "124")


def _invert(_zone: Zone) -> None:
    run("ip", "rule", "delete", "priority", "123")
    selectors = f"not to 10.77.0.0/16 fwmark 0/{MARK_SEEN:#x} type blackhole protocol 122"
    run("ip", "rule", "add", "priority", "123", *selectors.split())


def _ask_for_a_mark(_zone: Zone) -> None:
    run("ip", "rule", "delete", "priority", "123")
    selectors = f"to 10.77.0.0/16 fwmark {MARK_SEEN:#x}/{MARK_SEEN:#x} type blackhole protocol 122"
    run("ip", "rule", "add", "priority", "123", *selectors.split())


def _trust_sources(zone: Zone) -> None:
    settings(f"/proc/sys/net/ipv4/conf/{zone.step.bridge}/rp_filter", "0")


def _forget_marks(zone: Zone) -> None:
    settings(f"/proc/sys/net/ipv4/conf/{zone.step.bridge}/src_valid_mark", "0")


@pytest.mark.parametrize(
    "breakage", [_delete_rule, _delete_way_round, _invert, _ask_for_a_mark, _trust_sources, _forget_marks]
)
@pytest.mark.fault(
    "a routing rule of a zone's bridge, or its check of sources, is deleted or altered",
    "`its routing rules are gone or altered`; repair and the next start put it back",
)
def test_a_damaged_gate_is_told_and_mended(breakage: Callable[[Zone], None]) -> None:
    def test(world: World) -> None:
        zone = _zone(world, NetworkConfig())
        steps = shared_steps(NetworkConfig(), INSTANCE)
        assert status.inspect(INSTANCE, "00000001", bridge="zbr0").problems == ()
        breakage(zone)
        assert status.inspect(INSTANCE, "00000001", bridge="zbr0").problems == (
            "its routing rules are gone or altered",
        )
        assert status.Inspection(INSTANCE).of("00000001").problems == (
            "its routing rules are gone or altered",
        )
        assert not all(shared.holds(step) for step in steps)
        world.share(NetworkConfig())
        assert all(shared.holds(step) for step in steps)
        run("nft", "flush", "ruleset")
        assert _is_lost(zone.namespace, world.outside, "192.0.2.2")

    in_world(test)


def test_a_bridge_without_addresses_is_told_and_mended() -> None:
    def test(world: World) -> None:
        _zone(world, NetworkConfig())
        run("ip", "address", "flush", "dev", "zbr0", "scope", "global")
        lost = ("its bridge has lost its addresses",)
        assert status.inspect(INSTANCE, "00000001", bridge="zbr0").problems == lost
        assert status.Inspection(INSTANCE).of("00000001").problems == lost
        world.share(NetworkConfig())
        assert status.inspect(INSTANCE, "00000001", bridge="zbr0").problems == ()
        assert status.Inspection(INSTANCE).of("00000001").problems == ()

    in_world(test)


def test_each_subnet_of_a_bridge_has_its_gate() -> None:
    def test(world: World) -> None:
        second = dataclasses.replace(NetworkConfig(), subnet="10.79.0.0/24")
        world.share(NetworkConfig())
        world.share(second)
        one, two = world.zone4(2), world.zone(second, "10.79.0.2/24", "10.79.0.1")
        run("nft", "flush", "ruleset")
        for zone in (one, two):
            assert _is_lost(zone.namespace, world.outside, "192.0.2.2")
            assert reaches(world.host, zone.namespace, zone.ip)
        run("ip", "rule", "delete", "priority", "123", "to", "10.79.0.0/24")
        problems = status.Inspection(INSTANCE).of("00000001").problems
        assert "its routing rules are gone or altered" in problems

    in_world(test)


def test_the_gate_goes_with_its_instance_and_no_other() -> None:
    def test(world: World) -> None:
        before = run("ip", "rule"), run("ip", "-6", "rule")
        theirs = NetworkConfig(bridge="zbr1", subnet="10.78.0.0/16")
        world.share(theirs, OTHER_INSTANCE)
        others = run("ip", "rule"), run("ip", "-6", "rule")
        world.share(NetworkConfig())
        world.share(ROUTED6)
        # Somebody else's rule at the same place.
        run("ip", "rule", "add", "priority", "123", "to", "10.77.0.0/16", "lookup", "main")
        run("ip", "link", "delete", "zbr0")
        assert ("routing rules", TABLE) in shared.left(INSTANCE)
        shared.teardown(INSTANCE, lock=nullcontext())
        assert shared.left(INSTANCE) == []
        run("ip", "rule", "delete", "priority", "123", "to", "10.77.0.0/16", "lookup", "main")
        assert (run("ip", "rule"), run("ip", "-6", "rule")) == others
        assert all(shared.holds(step) for step in shared_steps(theirs, OTHER_INSTANCE))
        shared.teardown(OTHER_INSTANCE, lock=nullcontext())
        assert (run("ip", "rule"), run("ip", "-6", "rule")) == before

    in_world(test)
