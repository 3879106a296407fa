"""A zone that lies about its addresses: each lie fails, and succeeds where its one protection is taken away."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

import pytest

from tests.kernel.network.world import (
    INSTANCE,
    SHORT_S,
    World,
    Zone,
    entered,
    in_world,
    is_blocked,
    reaches,
    run,
)
from zonectl.model.config import NetworkConfig

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.requires("root", "veth", "bridge", "nft", "program:ip")

IPV6 = NetworkConfig(subnet="fd00:77::/64")
TABLE = INSTANCE.table
EVERYONE = b"\xff" * 6


def unpin(_zone: Zone) -> None:
    """Take the pinning of addresses away."""
    run("nft", "delete", "table", "bridge", TABLE)


def unlock(zone: Zone) -> None:
    """Take the pinning of link addresses away."""
    run("ip", "link", "set", zone.step.link, "type", "bridge_slave", "locked", "off", "learning", "on")


def _send(zone: Zone, frame: bytes) -> None:
    with entered(zone.namespace), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind(("eth0", 0))
        raw.send(frame)


def _mac(zone: Zone) -> bytes:
    return bytes.fromhex(zone.step.mac.replace(":", ""))


def _announcement(mac: bytes, address: str) -> bytes:
    """A gratuitous ARP reply (RFC 826, 5227): `address` is at `mac`."""
    ip = socket.inet_aton(address)
    return EVERYONE + mac + struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4, 2) + mac + ip + EVERYONE + ip


def _neighbour(address: str) -> str:
    return run("ip", "neighbour", "show", address)


def test_another_address_is_dropped() -> None:
    def test(world: World) -> None:
        world.share(NetworkConfig())
        liar = world.zone4(2)
        with entered(liar.namespace):
            run("ip", "address", "add", "10.77.0.9/16", "dev", "eth0")
        assert is_blocked(liar.namespace, world.host, "10.77.0.1", source="10.77.0.9")
        assert reaches(liar.namespace, world.host, "10.77.0.1", source="10.77.0.2") == "10.77.0.2"
        unpin(liar)
        assert reaches(liar.namespace, world.host, "10.77.0.1", source="10.77.0.9") == "10.77.0.9"

    in_world(test)


def test_another_link_address_is_dropped() -> None:
    def test(world: World) -> None:
        world.share(NetworkConfig())
        liar = world.zone4(2)
        with entered(liar.namespace):
            run("ip", "link", "set", "eth0", "address", "02:00:00:00:00:09")
        assert is_blocked(liar.namespace, world.host, "10.77.0.1")
        unlock(liar)
        assert reaches(liar.namespace, world.host, "10.77.0.1") == "10.77.0.2"

    in_world(test)


def test_another_link_address_with_the_address_that_goes_with_it_is_dropped() -> None:
    def test(world: World) -> None:
        world.share(NetworkConfig())
        liar = world.zone4(2)
        with entered(liar.namespace):
            run("ip", "link", "set", "eth0", "address", "02:7a:0a:4d:00:09")
            run("ip", "address", "add", "10.77.0.9/16", "dev", "eth0")
        assert is_blocked(liar.namespace, world.host, "10.77.0.1", source="10.77.0.9")
        unlock(liar)
        assert reaches(liar.namespace, world.host, "10.77.0.1", source="10.77.0.9") == "10.77.0.9"

    in_world(test)


def test_announcing_a_neighbours_address_does_not_draw_its_packets() -> None:
    def test(world: World) -> None:
        world.share(NetworkConfig())
        run("sysctl", "-qw", "net.ipv4.conf.zbr0.arp_accept=1")
        victim, liar = world.zone4(2), world.zone4(3)
        assert reaches(world.host, victim.namespace, victim.ip) == "10.77.0.1"
        _send(liar, _announcement(_mac(liar), victim.ip))
        assert victim.step.mac in _neighbour(victim.ip)
        unpin(liar)
        run("ip", "neighbour", "flush", "all")
        _send(liar, _announcement(_mac(liar), victim.ip))
        assert liar.step.mac in _neighbour(victim.ip)

    in_world(test)


def test_announcing_the_gateways_address_does_not_draw_a_neighbours_packets() -> None:
    def test(world: World) -> None:
        open_ports = NetworkConfig(isolated=False)
        world.share(open_ports)
        victim, liar = world.zone4(2, open_ports), world.zone4(3, open_ports)
        with entered(victim.namespace):
            run("sysctl", "-qw", "net.ipv4.conf.eth0.arp_accept=1")
        _send(liar, _announcement(_mac(liar), "10.77.0.1"))
        with entered(victim.namespace):
            assert liar.step.mac not in _neighbour("10.77.0.1")
        unpin(liar)
        _send(liar, _announcement(_mac(liar), "10.77.0.1"))
        with entered(victim.namespace):
            assert liar.step.mac in _neighbour("10.77.0.1")

    in_world(test)


IPV6_HEADER = struct.pack("!IHBB", 0x60000000, 0, 59, 64)


@pytest.mark.parametrize("ethertype", [0x8100, 0x88CC, 0x86DD, 0x8863])
def test_protocols_that_are_not_the_zones_are_dropped(ethertype: int) -> None:
    def test(world: World) -> None:
        world.share(NetworkConfig())
        liar = world.zone4(2)
        frame = EVERYONE + _mac(liar) + struct.pack("!H", ethertype)
        frame += IPV6_HEADER + socket.inet_pton(socket.AF_INET6, "fd00::5") * 2 + bytes(6)
        assert not _arrives(world, lambda: _send(liar, frame), ethertype)
        unpin(liar)
        assert _arrives(world, lambda: _send(liar, frame), ethertype)

    in_world(test)


def _arrives(world: World, send: Callable[[], None], ethertype: int) -> bool:
    with entered(world.host), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as raw:
        raw.bind(("zbr0", 3))
        raw.settimeout(SHORT_S)
        send()
        try:
            while True:
                frame = raw.recv(2048)
                # The kernel takes a VLAN tag off; what is inside it is left, with protocol 0.
                if frame[6:8] == b"\x02\x7a" and frame[12:14] in {struct.pack("!H", ethertype), b"\0\0"}:
                    return True
        except TimeoutError:
            return False


def test_another_ipv6_address_is_dropped() -> None:
    def test(world: World) -> None:
        world.share(IPV6)
        liar = world.zone(IPV6, "fd00:77::5/64", "fd00:77::1")
        with entered(liar.namespace):
            run("ip", "address", "add", "fd00:77::9/64", "dev", "eth0", "nodad")
        assert is_blocked(liar.namespace, world.host, "fd00:77::1", source="fd00:77::9")
        assert reaches(liar.namespace, world.host, "fd00:77::1", source="fd00:77::5") == "fd00:77::5"
        unpin(liar)
        assert reaches(liar.namespace, world.host, "fd00:77::1", source="fd00:77::9") == "fd00:77::9"

    in_world(test)


def test_advertising_a_neighbours_ipv6_address_does_not_draw_its_packets() -> None:
    def test(world: World) -> None:
        world.share(IPV6)
        victim = world.zone(IPV6, "fd00:77::5/64", "fd00:77::1")
        liar = world.zone(IPV6, "fd00:77::6/64", "fd00:77::1")
        assert reaches(world.host, victim.namespace, victim.ip) == "fd00:77::1"
        _send(liar, _advertisement(liar, "fd00:77::6", victim.ip))
        assert victim.step.mac in _neighbour(victim.ip)
        unpin(liar)
        _send(liar, _advertisement(liar, "fd00:77::6", victim.ip))
        assert liar.step.mac in _neighbour(victim.ip)

    in_world(test)


def _advertisement(zone: Zone, source: str, target: str) -> bytes:
    """An overriding neighbour advertisement to all nodes (RFC 4861): `target` is at the zone's link address."""
    every_node = socket.inet_pton(socket.AF_INET6, "ff02::1")
    sender = socket.inet_pton(socket.AF_INET6, source)
    body = struct.pack("!BBHI", 136, 0, 0, 0x20000000) + socket.inet_pton(socket.AF_INET6, target)
    body += b"\x02\x01" + _mac(zone)
    pseudo = sender + every_node + struct.pack("!II", len(body), 58)
    total = sum(struct.unpack(f"!{(len(pseudo) + len(body)) // 2}H", pseudo + body))
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    body = body[:2] + struct.pack("!H", checksum) + body[4:]
    header = struct.pack("!IHBB", 0x60000000, len(body), 58, 255) + sender + every_node
    return b"\x33\x33\0\0\0\x01" + _mac(zone) + b"\x86\xdd" + header + body
