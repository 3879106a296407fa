"""Pools and link addresses."""

from __future__ import annotations

from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from zonectl.model.config import NetworkConfig
from zonectl.network.addresses import bridge_mac, zone_mac


def test_the_router_is_the_gateway_or_the_first_host() -> None:
    assert NetworkConfig(subnet="10.77.0.0/16").router == "10.77.0.1"
    assert NetworkConfig(subnet="fd00:77::/64").router == "fd00:77::1"
    assert NetworkConfig(subnet="10.77.0.0/16", gateway="10.77.0.9").router == "10.77.0.9"


@given(st.ip_addresses(v=4))
def test_the_link_address_ends_in_the_ipv4_address(address: object) -> None:
    mac = zone_mac(f"{address}/24")
    assert mac.startswith("02:7a:")
    assert str(ip_address(bytes.fromhex(mac.replace(":", ""))[2:])) == str(address)


@given(st.ip_addresses(v=6))
def test_the_link_address_ends_as_the_ipv6_address(address: object) -> None:
    packed = ip_address(str(address)).packed
    assert zone_mac(str(address)) == f"06:7a:{packed[-4:].hex(':')}"


def test_link_addresses_of_bridges_are_stable_and_their_own() -> None:
    assert bridge_mac("zonectl", "zbr0") == bridge_mac("zonectl", "zbr0")
    macs = {bridge_mac(table, name) for table in ("zonectl", "zonectl_ab12cd") for name in ("zbr0", "zbr1")}
    assert len(macs) == 4
    # Locally administered, not a group's (IEEE 802).
    assert all(int(mac[:2], 16) & 3 == 2 for mac in (*macs, zone_mac("10.0.0.1"), zone_mac("fd00::1")))
