"""Addresses that zones hold: no two zones of an instance have the same."""

from __future__ import annotations

from functools import partial
from ipaddress import IPv4Network, ip_address, ip_interface, ip_network
from typing import TYPE_CHECKING, TypeAlias

from zonectl.errors import StoreError
from zonectl.store.claims import claims
from zonectl.store.ledger import Ledger
from zonectl.store.records import Damaged, load_all

if TYPE_CHECKING:
    from collections.abc import Collection
    from ipaddress import IPv4Interface, IPv6Interface, IPv6Network

    from zonectl.model.record import ZoneRecord
    from zonectl.store.ledger import Part, Parts
    from zonectl.store.paths import Paths

    Network: TypeAlias = IPv4Network | IPv6Network
    Interface: TypeAlias = IPv4Interface | IPv6Interface


def lease(
    paths: Paths,
    zone_id: str,
    subnet: str,
    *,
    wanted: str | None = None,
    reserved: Collection[str] = (),
    volatile: bool = False,
) -> str:
    """An address of `subnet` with its prefix ("10.77.0.5/16"), which the zone holds until `release`.

    A zone that holds one already gets the same again. `wanted` is a fixed address, with or without a prefix.
    The first address of the subnet (the gateway's) and those in `reserved` are never picked, and one that was
    released only after all others were used. A `volatile` lease does not outlive the boot, and syncs nothing.

    Raises:
        StoreError: the wanted address is held by another zone (named), the subnet is used up or is none,
            or the leases cannot be read or written.
        Busy: the leases were locked for too long.

    """
    network, fixed = _network(subnet), _interface(wanted) if wanted else None
    with _ledger(paths).changing(verb="lease", zone=zone_id) as parts:
        part = parts.volatile if volatile else parts.durable
        if fixed:
            _fix(paths, parts, part, zone_id=zone_id, address=str(fixed.ip))
            return f"{fixed.ip}/{fixed.network.prefixlen if '/' in (wanted or '') else network.prefixlen}"
        address = _held_in(parts, zone_id, network) or _pick(parts, part, network, reserved=reserved)
        if parts.holder(address) is None:
            part.take(address, zone_id)
    return f"{address}/{network.prefixlen}"


def release(paths: Paths, zone_id: str) -> None:
    """Take back the addresses of the zone; it may hold none.

    Raises:
        StoreError: the leases cannot be read or written.
        Busy: they were locked for too long.

    """
    with _ledger(paths).changing(verb="release", zone=zone_id, takes=False) as parts:
        parts.drop(zone_id)


def leases(paths: Paths) -> dict[str, str]:
    """Every leased address, without prefix, and the id of the zone that holds it.

    Raises:
        StoreError: the leases cannot be read.

    """
    parts = _ledger(paths).read()
    return {**parts.durable.held, **parts.volatile.held}


def _ledger(paths: Paths) -> Ledger:
    return Ledger(
        durable=paths.leases_file,
        volatile=paths.run_leases_file,
        lock_file=paths.leases_lock,
        check=ip_address,
        claims=partial(claims, paths, _claimed),
    )


def _claimed(record: ZoneRecord) -> str | None:
    return str(ip_interface(record.address).ip) if record.address else None


def _network(subnet: str) -> Network:
    try:
        return ip_network(subnet, strict=False)
    except ValueError as error:
        raise StoreError(f"not a subnet: {subnet!r}") from error


def _interface(wanted: str) -> Interface:
    try:
        return ip_interface(wanted)
    except ValueError as error:
        raise StoreError(f"not an address: {wanted!r}") from error


def _fix(paths: Paths, parts: Parts, part: Part, *, zone_id: str, address: str) -> None:
    holder = parts.holder(address)
    if holder == zone_id:
        return
    if holder is not None:
        raise StoreError(f"the address {address} is held by the zone {_name(paths, holder)}")
    cursor = part.cursor
    part.take(address, zone_id)
    part.cursor = cursor


def _name(paths: Paths, zone_id: str) -> str:
    for record in load_all(paths):
        if not isinstance(record, Damaged) and record.id == zone_id:
            return record.name
    return f"with the id {zone_id}"


def _held_in(parts: Parts, zone_id: str, network: Network) -> str | None:
    return next((held for held in parts.of(zone_id) if ip_interface(held).ip in network), None)


def _pick(parts: Parts, part: Part, network: Network, *, reserved: Collection[str]) -> str:
    # Offsets within the subnet: 0 is its own address, 1 the gateway's, the last one IPv4's broadcast.
    first, end = 2, network.num_addresses - isinstance(network, IPv4Network)
    start = first
    if part.cursor and (cursor := ip_interface(part.cursor).ip) in network:
        start = int(cursor) - int(network.network_address) + 1
    # One more than what is taken is always enough; a /64 is never walked.
    tries = min(end - first, len(parts.durable.held) + len(parts.volatile.held) + len(reserved) + 1)
    for step in range(tries):
        address = str(network[first + (start - first + step) % (end - first)])
        if parts.holder(address) is None and address not in reserved:
            return address
    raise StoreError(f"no address is left in {network}", hint="delete zones, or use a larger subnet")
