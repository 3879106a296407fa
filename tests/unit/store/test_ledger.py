"""Damaged ledgers: set aside, and made again from what the zones' records say."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.unit.store.test_records import RECORD
from zonectl.errors import StoreError
from zonectl.model.ids import ZONE_IDS, IdRange
from zonectl.model.names import ZoneId, ZoneName
from zonectl.store import idranges, leases, records

if TYPE_CHECKING:
    from zonectl.model.record import ZoneRecord
    from zonectl.store.paths import Paths

SUBNET = "10.77.0.0/16"
DAMAGES = ["", "{", "[]", "\xff", '{"held": {}}', '{"schema_version": 1, "held": []}',
           '{"schema_version": 1, "held": {"x": "0000000a"}}', '{"schema_version": 1, "held": {"3": 1}}',
           '{"schema_version": 1, "held": {"-99999999": "0000000a"}}']  # fmt: skip


def _zone(paths: Paths, number: int, **wishes: bool) -> ZoneRecord:
    """An installed zone with a range and an address."""
    zone_id = f"0000000{number}"
    record = replace(
        RECORD,
        id=ZoneId(zone_id),
        name=ZoneName(f"zone{number}"),
        ids=idranges.allocate(paths, zone_id, [], volatile=bool(wishes.get("ephemeral"))),
        address=leases.lease(paths, zone_id, SUBNET, volatile=bool(wishes.get("ephemeral"))),
        **wishes,  # type: ignore[arg-type]
    )
    records.save_record(paths, record)
    return record


def _damage(path: str, text: str) -> None:
    Path(path).write_bytes(text.encode("latin-1"))


def _aside(path: str) -> list[str]:
    return [
        name
        for name in os.listdir(os.path.dirname(path))
        if name.startswith(f"{os.path.basename(path)}.damaged-")
    ]


@pytest.mark.parametrize("text", DAMAGES)
@pytest.mark.fault(
    "ledgers of ids and addresses damaged in many ways",
    "set aside with the reason, made again from the records; nothing is given twice",
)
def test_what_zones_hold_is_known_from_their_records(paths: Paths, text: str) -> None:
    first, second, run = _zone(paths, 1), _zone(paths, 2), _zone(paths, 3, ephemeral=True)
    before = leases.leases(paths), idranges.ranges(paths)
    for path in (paths.leases_file, paths.ids_file, paths.run_leases_file, paths.run_ids_file):
        _damage(path, text)
    assert (leases.leases(paths), idranges.ranges(paths)) == before
    assert _aside(paths.leases_file) == [], "who only looks changes nothing"

    third = _zone(paths, 4)
    assert third.address not in {first.address, second.address, run.address}
    assert third.ids not in {first.ids, second.ids, run.ids}
    assert leases.leases(paths) == {**before[0], str(third.address).partition("/")[0]: third.id}
    for path in (paths.leases_file, paths.ids_file):
        (name,) = _aside(path)
        assert Path(path).with_name(name).read_bytes() == text.encode("latin-1")
        assert "damaged" in json.loads(Path(path).read_text())["made_again"]
    leases.release(paths, first.id)
    idranges.release(paths, first.id)
    assert first.id not in {*leases.leases(paths).values(), *idranges.ranges(paths)}


def _half(paths: Paths, name: str) -> None:
    records.save_record(paths, replace(RECORD, id=ZoneId("0000000f"), name=ZoneName(name), installed=False))


def _broken(paths: Paths, name: str) -> None:
    _half(paths, name)
    Path(paths.record_file(name)).write_text("{")


@pytest.mark.parametrize("make", [_half, _broken])
@pytest.mark.fault(
    "a ledger and a zone's record are damaged together",
    "no ids are given until that zone is deleted; the error names it",
)
def test_nothing_is_given_while_a_zone_may_hold_it(paths: Paths, make: object) -> None:
    """It has been made, or its record is damaged as well: the lost ledger alone knew what it holds."""
    kept = _zone(paths, 1)
    make(paths, "half")  # type: ignore[operator]
    _damage(paths.ids_file, "{")
    with pytest.raises(StoreError, match="what the zone half holds is not known") as refused:
        idranges.allocate(paths, "0000000b", [])
    assert refused.value.hint == "zonectl delete -f half"
    idranges.release(paths, kept.id)
    assert _aside(paths.ids_file) == [], (
        "not even forgotten, as long as it would be made again without that zone"
    )
    os.unlink(paths.record_file("half"))
    os.rmdir(paths.zone_dir("half"))
    assert idranges.allocate(paths, "0000000b", []).count == ZONE_IDS


@pytest.mark.parametrize("name", ["half", "web-0000000f"])
def test_a_zone_is_not_kept_from_its_own(paths: Paths, name: str) -> None:
    """A create has its record before it holds anything, a run only its folder."""
    if name == "half":
        _half(paths, name)
    else:
        records.make_folder(paths, name)
    _damage(paths.ids_file, "{")
    assert isinstance(idranges.allocate(paths, "0000000f", []), IdRange)


def test_what_a_later_release_wrote_is_not_made_again(paths: Paths) -> None:
    text = '{"schema_version": 99, "written_by": "9.0"}'
    Path(paths.ids_file).write_text(text)
    for act in (lambda: idranges.ranges(paths), lambda: idranges.release(paths, "0000000b")):
        with pytest.raises(StoreError, match=r"newer than 1: written by zonectl 9\.0"):
            act()
    assert Path(paths.ids_file).read_text() == text
