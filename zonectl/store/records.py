"""What is kept about each zone, to and from documents: record.json, live.json, last.json."""

from __future__ import annotations

import os
import stat
from dataclasses import asdict, dataclass
from ipaddress import ip_interface
from typing import TYPE_CHECKING

from zonectl.errors import NoSuchZone, StoreError
from zonectl.model.ids import IdRange
from zonectl.model.names import ZONE_ID, ZONE_NAME, ZoneId, ZoneName
from zonectl.model.record import SCHEMA_VERSION, LastExit, LiveNote, ZoneRecord
from zonectl.store import documents
from zonectl.store.fields import Fields
from zonectl.store.paths import FOLDER_MODE

if TYPE_CHECKING:
    from zonectl.store.paths import Paths


_OF_A_RUN = FOLDER_MODE | stat.S_ISVTX
"""The mode of a run's folder. Until there is a record nothing else tells it from a zone that has lost its own; the
sticky bit changes nothing for a folder that root alone may enter, and costs no call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Damaged:
    """A zone whose record cannot be read, and why; its folder is there and its name is known."""

    name: ZoneName
    path: str
    reason: str


def list_names(paths: Paths) -> list[ZoneName]:
    """The names of all zones on disk, sorted: real folders with valid names; other files are nobody's zones.

    Raises:
        StoreError: the folder of zones cannot be read.

    """
    try:
        with os.scandir(paths.zones_dir) as entries:
            names = [
                entry.name
                for entry in entries
                if ZONE_NAME.match(entry.name) and entry.is_dir(follow_symlinks=False)
            ]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"cannot read {paths.zones_dir}: {error.strerror}") from error
    return [ZoneName(name) for name in sorted(names)]


def load_all(paths: Paths) -> list[ZoneRecord | Damaged]:
    """The records of all zones, sorted by name, each damaged one (or a folder without any) as `Damaged`.

    Raises:
        StoreError: the folder of zones cannot be read.

    """
    found: list[ZoneRecord | Damaged] = []
    for name in list_names(paths):
        try:
            found.append(load_record(paths, name))
        except NoSuchZone:
            continue
        except StoreError as error:
            found.append(Damaged(name=name, path=paths.record_file(name), reason=error.message))
    return found


def save_record(paths: Paths, record: ZoneRecord) -> None:
    """Write the zone's record durably, an ephemeral one without syncing; makes the zone's folder where there is none.

    Raises:
        StoreError: it cannot be written.

    """
    folder = paths.zone_dir(record.name)
    if _make_folder(folder) and not record.ephemeral:
        documents.sync_folder(paths.zones_dir)
    documents.write_json(paths.record_file(record.name), _document(record), volatile=record.ephemeral)


def make_folder(paths: Paths, name: str) -> None:
    """Make the folder of an ephemeral zone, whose record comes later; nothing is synced.

    Raises:
        StoreError: it cannot be made.

    """
    _make_folder(paths.zone_dir(name), _OF_A_RUN)


def is_of_a_run(paths: Paths, name: str) -> bool:
    """Whether the zone's folder was made for a run, whatever is in it by now."""
    try:
        return bool(os.lstat(paths.zone_dir(name)).st_mode & stat.S_ISVTX)
    except OSError:
        return False


def load_record(paths: Paths, name: str) -> ZoneRecord:
    """The zone's record.

    Raises:
        NoSuchZone: the zone has no folder.
        StoreError: it has, but the record is missing, damaged or newer (`zone` says which).

    """
    if not os.path.isdir(paths.zone_dir(name)):
        raise NoSuchZone(name)
    path = paths.record_file(name)
    try:
        record = _record(Fields(path, documents.read_json(path, newest=SCHEMA_VERSION)))
    except StoreError as error:
        raise StoreError(error.message, zone=name, hint=error.hint or f"zonectl delete -f {name}") from error
    if record.name != name:
        raise StoreError(f"{path} is damaged: it is the record of {record.name!r}", zone=name)
    return record


def save_live(paths: Paths, name: str, note: LiveNote) -> None:
    """Note which process is the zone's init; not synced, it does not outlive the boot.

    Raises:
        StoreError: it cannot be written.

    """
    _make_folder(paths.run_zone_dir(name))
    documents.write_volatile(paths.live_file(name), _document(note))


def load_live(paths: Paths, name: str) -> LiveNote | None:
    """The note of the zone's init; None when there is none. To be verified before any use.

    Raises:
        StoreError: it is damaged or newer.

    """
    path = paths.live_file(name)
    document = documents.read_optional(path, newest=SCHEMA_VERSION)
    return None if document is None else _live(Fields(path, document))


def remove_live(paths: Paths, name: str) -> None:
    """Remove the note of the zone's init; it may be gone already.

    Raises:
        StoreError: it cannot be removed.

    """
    documents.remove(paths.live_file(name), volatile=True)


def save_last(paths: Paths, name: str, last: LastExit) -> None:
    """Note how the zone ended; not synced: after a power cut it may be missing, or not be what was written.

    Raises:
        StoreError: it cannot be written.

    """
    documents.write_volatile(paths.last_file(name), _document(last))


def load_last(paths: Paths, name: str) -> LastExit | None:
    """How the zone ended last; None when it never did.

    What cannot be read, or made sense of, is an end that nobody knows: a power cut may leave such a note, and no zone,
    let alone all that are listed with it, should be of no use for that.
    """
    path = paths.last_file(name)
    try:
        document = documents.read_optional(path, newest=SCHEMA_VERSION)
        return None if document is None else _last(Fields(path, document))
    except StoreError:
        return LastExit(ended_at=_written_at(path), status=None, signal=None)


def _written_at(path: str) -> float:
    try:
        return os.lstat(path).st_mtime
    except OSError:
        return 0.0


def _document(kept: ZoneRecord | LiveNote | LastExit) -> dict[str, object]:
    return {"schema_version": SCHEMA_VERSION, **asdict(kept)}


def _make_folder(path: str, mode: int = FOLDER_MODE) -> bool:
    try:
        os.makedirs(path, mode)
    except FileExistsError:
        return False
    except OSError as error:
        raise StoreError(f"cannot create {path}: {error.strerror}") from error
    return True


def _record(fields: Fields) -> ZoneRecord:
    return ZoneRecord(
        id=_zone_id(fields),
        name=ZoneName(fields.text("name")),
        installed=fields.boolean("installed"),
        created_at=fields.number("created_at"),
        ids=_ids(fields),
        address=_address(fields, "address"),
        gateway=_address(fields, "gateway"),
        layers=_layers(fields),
        warnings=fields.texts("warnings"),
        ephemeral=fields.boolean("ephemeral", default=False),
    )


def _zone_id(fields: Fields) -> ZoneId:
    text = fields.text("id")
    if not ZONE_ID.match(text):
        raise fields.wrong("id", "8 hex digits")
    return ZoneId(text)


def _ids(fields: Fields) -> IdRange | None:
    if fields.values.get("ids") is None:
        return None
    table = fields.table("ids")
    try:
        return IdRange(first=table.integer("first"), count=table.integer("count"))
    except ValueError as error:
        raise fields.wrong("ids", "a range of ids") from error


def _address(fields: Fields, key: str) -> str | None:
    text = fields.optional_text(key)
    if text is not None:
        try:
            ip_interface(text)
        except ValueError as error:
            raise fields.wrong(key, "an address") from error
    return text


def _layers(fields: Fields) -> tuple[str, ...]:
    layers = fields.texts("layers")
    if not all(os.path.isabs(layer) and "\0" not in layer for layer in layers):
        raise fields.wrong("layers", "a list of absolute paths")
    return layers


def _live(fields: Fields) -> LiveNote:
    pid = fields.integer("pid")
    if pid < 1:
        # 0 and negative pids mean groups of processes to kill(2).
        raise fields.wrong("pid", "a process id")
    return LiveNote(
        pid=pid,
        start_ticks=fields.integer("start_ticks"),
        boot_id=fields.text("boot_id"),
        started_at=fields.number("started_at"),
        parked=fields.boolean("parked", default=False),
        writable=fields.boolean("writable", default=False),
    )


def _last(fields: Fields) -> LastExit:
    return LastExit(
        ended_at=fields.number("ended_at"),
        status=fields.optional_integer("status"),
        signal=fields.optional_integer("signal"),
        oom_kills=fields.integer("oom_kills", 0),
        memory_max_bytes=fields.optional_integer("memory_max_bytes"),
        memory_peak_bytes=fields.optional_integer("memory_peak_bytes"),
        by_user=fields.boolean("by_user", default=False),
    )
