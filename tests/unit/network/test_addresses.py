"""Pools and link addresses."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonectl.errors import ZonectlError
from zonectl.network.addresses import bridge_mac, first_host, pick, zone_mac

SUBNETS = st.one_of(
    st.builds(
        lambda base, prefix: str(ip_network((base, prefix), strict=False)),
        st.integers(0x01000000, 0xDFFFFFFF),
        st.integers(8, 30),
    ),
    st.builds(
        lambda base, prefix: str(ip_network((base << 64, prefix), strict=False)),
        st.integers(0xFD00 << 48, (0xFD01 << 48) - 1),
        st.integers(64, 126),
    ),
)


def usable(subnet: str) -> list[str]:
    network = ip_network(subnet)
    return [str(address) for address in list(network)[2 : None if network.version == 6 else -1]]


def test_the_gateway_is_the_first_host() -> None:
    assert first_host("10.77.0.0/16") == "10.77.0.1"
    assert first_host("fd00:77::/64") == "fd00:77::1"


@pytest.mark.parametrize("subnet", ["10.0.0.0/31", "10.0.0.1/32", "fd00::/127", "10.0.0.1/24", "x"])
def test_a_subnet_without_room_or_sense_is_refused(subnet: str) -> None:
    with pytest.raises(ValueError, match=r"room|host bits|does not appear"):
        first_host(subnet)


def test_the_first_zone_gets_the_second_address() -> None:
    assert pick("10.77.0.0/16", ()) == "10.77.0.2"
    assert pick("fd00:77::/64", ()) == "fd00:77::2"


@given(SUBNETS, st.integers(0, 10**6))
def test_what_is_picked_is_free_and_a_hosts(subnet: str, seed: int) -> None:
    network = ip_network(subnet)
    last = str(network[seed % network.num_addresses])
    picked = pick(subnet, {last}, last=last) if network.num_addresses > 4 else pick(subnet, ())
    address = ip_address(picked)
    assert address in network
    assert picked != last or network.num_addresses <= 4
    assert address not in {network[0], network[1]}
    assert network.version == 6 or address != network[-1]


@pytest.mark.parametrize("subnet", ["10.77.0.0/28", "fd00::/125", "10.77.0.0/30"])
def test_every_address_is_given_once_and_then_none(subnet: str) -> None:
    taken: list[str] = []
    while len(taken) < len(usable(subnet)):
        taken.append(pick(subnet, taken, last=taken[-1] if taken else None))
    assert taken == usable(subnet)
    with pytest.raises(ZonectlError, match="no address is left"):
        pick(subnet, taken, last=taken[-1])


def test_a_released_address_is_used_last() -> None:
    taken = ["10.77.0.2", "10.77.0.3", "10.77.0.4"]
    assert pick("10.77.0.0/29", ["10.77.0.2", "10.77.0.4"], last="10.77.0.4") == "10.77.0.5"
    assert pick("10.77.0.0/29", [*taken, "10.77.0.5", "10.77.0.6"][1:], last="10.77.0.6") == "10.77.0.2"


def test_a_last_address_from_another_subnet_begins_anew() -> None:
    assert pick("10.77.0.0/16", (), last="192.0.2.7") == "10.77.0.2"


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
