from __future__ import annotations

import os
import time
from ipaddress import ip_interface
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zonectl.errors import StoreError
from zonectl.model.instance import Instance
from zonectl.model.names import ZoneId, ZoneName
from zonectl.model.record import ZoneRecord
from zonectl.store import leases, records
from zonectl.store.leases import lease, release
from zonectl.store.ledger import Part, Parts
from zonectl.store.paths import Paths

if TYPE_CHECKING:
    from ipaddress import IPv4Network

SUBNET = "10.77.0.0/16"


def test_the_first_address_is_the_gateways(paths: Paths) -> None:
    assert lease(paths, "0000000a", SUBNET) == "10.77.0.2/16"
    assert lease(paths, "0000000b", SUBNET, reserved=("10.77.0.3",)) == "10.77.0.4/16"
    assert lease(paths, "0000000c", "fd00:7::/64") == "fd00:7::2/64"


def test_a_zone_keeps_its_address_in_each_subnet(paths: Paths) -> None:
    first = lease(paths, "0000000a", SUBNET)
    other = lease(paths, "0000000a", "192.168.4.0/24")
    assert lease(paths, "0000000a", SUBNET) == first
    assert lease(paths, "0000000a", "192.168.4.0/24", volatile=True) == other
    assert set(leases.leases(paths).values()) == {"0000000a"}
    release(paths, "0000000a")
    assert leases.leases(paths) == {}


def test_a_released_address_is_not_the_next(paths: Paths) -> None:
    first = lease(paths, "0000000a", SUBNET)
    release(paths, "0000000a")
    assert lease(paths, "0000000b", SUBNET) != first


def test_a_fixed_address_that_is_held_names_the_holder(paths: Paths) -> None:
    record = ZoneRecord(
        id=ZoneId("0000000a"),
        name=ZoneName("web"),
        installed=True,
        created_at=0.0,
        ids=None,
        address=None,
        gateway=None,
        layers=(),
    )
    records.save_record(paths, record)
    assert lease(paths, "0000000a", SUBNET, wanted="10.77.0.10") == "10.77.0.10/16"
    assert lease(paths, "0000000a", SUBNET, wanted="10.77.0.10/24") == "10.77.0.10/24"
    with pytest.raises(StoreError, match=r"10\.77\.0\.10 is held by the zone web"):
        lease(paths, "0000000b", SUBNET, wanted="10.77.0.10", volatile=True)


def test_a_volatile_lease_is_seen_by_durable_ones_and_syncs_nothing(paths: Paths) -> None:
    assert lease(paths, "0000000a", SUBNET, volatile=True) == "10.77.0.2/16"
    assert not Path(paths.leases_file).exists()
    assert lease(paths, "0000000b", SUBNET) == "10.77.0.3/16"


def test_a_used_up_subnet_is_an_error_and_a_released_address_helps(paths: Paths) -> None:
    given = {lease(paths, f"{n:08x}", "10.0.0.0/29", volatile=n % 2 == 0) for n in range(5)}
    assert given == {f"10.0.0.{n}/29" for n in range(2, 7)}
    with pytest.raises(StoreError, match="no address is left"):
        lease(paths, "0000000f", "10.0.0.0/29")
    release(paths, "00000003")
    assert lease(paths, "0000000f", "10.0.0.0/29") in given


@pytest.mark.parametrize("subnet", ["10.0.0.0/32", "10.0.0.0/31", "fd00::/128"])
def test_a_subnet_without_room_is_an_error(paths: Paths, subnet: str) -> None:
    with pytest.raises(StoreError, match="no address is left"):
        lease(paths, "0000000a", subnet)


@pytest.mark.parametrize("text", ["", "10.0.0.0/33", "zone", "10.0.0.1; drop"])
def test_what_is_no_address_is_refused(paths: Paths, text: str) -> None:
    with pytest.raises(StoreError):
        lease(paths, "0000000a", text)
    with pytest.raises(StoreError):
        lease(paths, "0000000a", SUBNET, wanted=text or "x")


@given(
    prefix=st.integers(26, 30),
    operations=st.lists(st.tuples(st.integers(0, 20), st.booleans(), st.booleans()), max_size=60),
)
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_happens_no_address_is_given_twice(
    tmp_path_factory: pytest.TempPathFactory, prefix: int, operations: list[tuple[int, bool, bool]]
) -> None:
    folder = tmp_path_factory.mktemp("leases")
    paths = Paths(Instance(root=str(folder / "root"), run=str(folder / "run")))
    paths.ensure()
    held: dict[str, str] = {}
    subnet = f"10.1.0.0/{prefix}"
    for number, leasing, volatile in operations:
        zone_id = f"{number:08x}"
        if not leasing:
            release(paths, zone_id)
            held.pop(zone_id, None)
            continue
        try:
            address = lease(paths, zone_id, subnet, volatile=volatile)
        except StoreError:
            assert len(held) == 2 ** (32 - prefix) - 3
            continue
        assert held.setdefault(zone_id, address) == address
        assert len(set(held.values())) == len(held)
        assert ip_interface(address).ip in ip_interface(subnet).network


def test_fifty_processes_at_once_never_get_the_same_address(paths: Paths) -> None:
    reader, writer = os.pipe()
    children = []
    for number in range(50):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                address = lease(paths, f"{number:08x}", SUBNET, volatile=number % 2 == 0)
                os.write(writer, f"{address}\n".encode())
                status = 0
            finally:
                os._exit(status)
        children.append(pid)
    os.close(writer)
    with os.fdopen(reader) as file:
        given = file.read().split()
    ends = [os.waitpid(pid, 0)[1] for pid in children]
    assert not any(ends)
    assert len(given) == len(set(given)) == 50
    assert sorted(given) == sorted(f"{address}/16" for address in leases.leases(paths))


def test_a_pick_among_500_leases_takes_less_than_a_millisecond() -> None:
    network: IPv4Network = ip_interface(SUBNET).network  # type: ignore[assignment]
    held = {str(network[n]): "0000000a" for n in range(2, 502)}
    best = 1.0
    for cursor in ("10.77.0.2", "10.77.1.245", None):
        durable = Part("", dict(held), cursor)
        begin = time.perf_counter()
        address = leases._pick(Parts(durable, Part("", {}, None)), durable, network, reserved=())
        best = min(best, time.perf_counter() - begin)
        assert address == "10.77.1.246"
    assert best < 0.001
