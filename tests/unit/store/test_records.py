from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonectl.errors import NoSuchZone, StoreError
from zonectl.model.ids import IdRange
from zonectl.model.names import ZoneId, ZoneName
from zonectl.model.record import LastExit, LiveNote, ZoneRecord
from zonectl.store import records
from zonectl.store.fields import Fields

if TYPE_CHECKING:
    from zonectl.store.paths import Paths

RECORD = ZoneRecord(
    id=ZoneId("0123abcd"),
    name=ZoneName("web"),
    installed=True,
    created_at=1700000000.25,
    ids=IdRange(first=1_000_000_000),
    address="10.77.0.5/16",
    gateway="10.77.0.1",
    layers=("/var/lib/zonectl/images/layers/a",),
    warnings=("no memory controller",),
)

some_records = st.builds(
    ZoneRecord,
    id=st.from_regex(r"[0-9a-f]{8}\Z", fullmatch=True).map(ZoneId),
    name=st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}\Z", fullmatch=True).map(ZoneName),
    installed=st.booleans(),
    created_at=st.floats(0, 2**33),
    ids=st.none() | st.builds(IdRange, first=st.integers(1, 2**32 - 70000)),
    address=st.none() | st.ip_addresses().map(lambda address: f"{address}/{address.max_prefixlen}"),
    gateway=st.none() | st.ip_addresses().map(str),
    layers=st.lists(
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])).map("/".__add__)
    ).map(tuple),
    warnings=st.lists(st.text(st.characters(exclude_categories=["Cs"]))).map(tuple),
    ephemeral=st.booleans(),
)


@given(some_records)
def test_any_record_reads_back_from_its_text(record: ZoneRecord) -> None:
    text = json.dumps(records._document(record))
    assert records._record(Fields("record.json", json.loads(text))) == record


def test_a_record_reads_back_from_disk(paths: Paths) -> None:
    records.save_record(paths, RECORD)
    assert records.load_record(paths, "web") == RECORD
    assert records.load_all(paths) == [RECORD]


def test_live_and_last_read_back(paths: Paths) -> None:
    records.save_record(paths, RECORD)
    note = LiveNote(pid=7, start_ticks=99, boot_id="b", started_at=1.0, parked=True)
    last = LastExit(
        ended_at=2.0, status=None, signal=9, oom_kills=1, memory_max_bytes=1 << 24, memory_peak_bytes=1 << 23
    )
    assert records.load_live(paths, "web") is None
    assert records.load_last(paths, "web") is None
    records.save_live(paths, "web", note)
    records.save_last(paths, "web", last)
    assert records.load_live(paths, "web") == note
    assert records.load_last(paths, "web") == last
    records.remove_live(paths, "web")
    records.remove_live(paths, "web")
    assert records.load_live(paths, "web") is None


@pytest.mark.parametrize(
    "text", ["", "{", "\0" * 40, "[]", '{"schema_version": 99}', '{"schema_version": 1}']
)
def test_a_last_end_that_makes_no_sense_is_an_unknown_one(paths: Paths, text: str) -> None:
    records.save_record(paths, RECORD)
    note = Path(paths.last_file("web"))
    note.write_text(text)
    last = records.load_last(paths, "web")
    assert last == LastExit(ended_at=note.stat().st_mtime, status=None, signal=None)
    records.save_last(paths, "web", LastExit(ended_at=2.0, status=0, signal=None))
    assert records.load_last(paths, "web") == LastExit(ended_at=2.0, status=0, signal=None)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("id", "0123ABCD"),
        ("id", "../../etc"),
        ("name", 7),
        ("installed", "yes"),
        ("installed", 1),
        ("created_at", "now"),
        ("created_at", True),
        ("created_at", float("nan")),
        ("ids", {"first": 0, "count": 65536}),
        ("ids", {"first": "1", "count": 65536}),
        ("ids", []),
        ("address", "10.77.0.300/16"),
        ("gateway", 1),
        ("layers", "/a"),
        ("layers", ["a"]),
        ("layers", ["/a", None]),
        ("warnings", [1]),
        ("ephemeral", None),
    ],
)
def test_a_wrong_value_is_an_error_that_names_file_zone_and_key(
    paths: Paths, key: str, value: object
) -> None:
    records.save_record(paths, RECORD)
    document = json.loads(Path(paths.record_file("web")).read_text())
    Path(paths.record_file("web")).write_text(json.dumps({**document, key: value}))
    with pytest.raises(
        StoreError, match=rf"record\.json is damaged: .*{key if key != 'ids' else ''}"
    ) as caught:
        records.load_record(paths, "web")
    assert caught.value.zone == "web"


def test_unknown_keys_are_tolerated(paths: Paths) -> None:
    records.save_record(paths, RECORD)
    document = json.loads(Path(paths.record_file("web")).read_text())
    Path(paths.record_file("web")).write_text(json.dumps({**document, "colour": "red"}))
    assert records.load_record(paths, "web") == RECORD


def test_a_pid_that_means_a_group_is_damage(paths: Paths) -> None:
    records.save_live(paths, "web", LiveNote(pid=-1, start_ticks=1, boot_id="b", started_at=1.0))
    with pytest.raises(StoreError, match="pid"):
        records.load_live(paths, "web")


def test_another_zones_record_is_damage(paths: Paths) -> None:
    records.save_record(paths, RECORD)
    Path(paths.zone_dir("copy")).mkdir()
    Path(paths.record_file("copy")).write_text(Path(paths.record_file("web")).read_text())
    with pytest.raises(StoreError, match="record of 'web'"):
        records.load_record(paths, "copy")


def test_a_damaged_record_leaves_the_others_listed(paths: Paths) -> None:
    records.save_record(paths, RECORD)
    for name in ("bad", "empty"):
        Path(paths.zone_dir(name)).mkdir()
    Path(paths.record_file("bad")).write_text("{")
    bad, empty, good = records.load_all(paths)
    assert isinstance(bad, records.Damaged)
    assert isinstance(empty, records.Damaged)
    assert (bad.name, empty.name) == ("bad", "empty")
    assert "missing" in empty.reason
    assert good == RECORD


def test_only_real_folders_with_valid_names_are_zones(paths: Paths) -> None:
    zones = Path(paths.zones_dir)
    for name in ("web", "db", ".tmp-1-00000000", "lost+found", "Web", "-x"):
        (zones / name).mkdir()
    (zones / "file").touch()
    (zones / "link").symlink_to("web")
    assert records.list_names(paths) == ["db", "web"]


def test_no_folder_is_no_such_zone(paths: Paths) -> None:
    with pytest.raises(NoSuchZone):
        records.load_record(paths, "web")
