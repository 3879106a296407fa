"""list: the zones and their states."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from zonectl.cli import failure, table, values
from zonectl.cli.moments import exit_words, moment, span
from zonectl.cli.table import Column, Style
from zonectl.errors import NoSuchZone, ZonectlError
from zonectl.model.state import ZoneState

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence

    from zonectl.cli.setting import Setting
    from zonectl.model.config import ZoneConfig
    from zonectl.model.record import LiveNote, ZoneRecord
    from zonectl.runtime.context import Context
    from zonectl.runtime.health import Checkup
    from zonectl.runtime.status import ZoneStatus

DESCRIPTION = """\
List zones: those with processes, or with -c all, or those that are named, whatever their state.

For programs: -p prints a line for each zone, without titles, its fields separated by colons, with \\: for a colon and
\\\\ for a backslash in them; -o json a list of objects, which always have all keys; -o csv a table with titles. Times
are seconds there, and what is not known is empty, or null. "waived" are the keys of the zone's file by which it goes
without a protection (a list; with spaces between them in a field): "zonectl show --security" says which. "degraded" is
what somebody has taken away from a zone that runs, in words (a list; with semicolons in a field); people see "degraded"
as its state. "zonectl repair" puts it back.
"""
EXAMPLES = """\
zonectl list
zonectl list -cv
zonectl list -p web
zonectl list -c -o json
"""

_BASE = (
    Column("id", "ID"),
    Column("name", "NAME"),
    Column("state", "STATE"),
    Column("path", "PATH"),
    Column("address", "ADDRESS"),
    Column("pid", "PID", number=True),
    Column("uptime_s", "UPTIME", number=True),
)
_MORE = (
    Column("last_exit", "LAST EXIT"),
    Column("oom_kills", "OOM", number=True),
    Column("autostart", "AUTOSTART"),
    Column("created_at", "CREATED"),
    Column("waived", "WAIVED"),
    Column("degraded", "DEGRADED"),
)
_STATE_AT = 2
_DEGRADED = "degraded"
_COLOURS = {
    ZoneState.RUNNING.value: "green",
    ZoneState.READY.value: "green",
    ZoneState.PAUSED.value: "yellow",
    ZoneState.SHUTTING_DOWN.value: "yellow",
    ZoneState.INCOMPLETE.value: "red",
    _DEGRADED: "red",
}


def arguments(parser: ArgumentParser) -> None:
    """Declare what the verb takes."""
    parser.add_argument("-c", "--all", action="store_true", help="zones in all states")
    parser.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="more columns: last exit, OOM kills, autostart, created, waived, degraded",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("-p", "--parsable", action="store_true", help="fields separated by colons")
    form.add_argument("-q", "--quiet", action="store_true", help="names only")
    form.add_argument(
        "-o", "--output", metavar="FORM", choices=("table", "json", "csv"), default="table",
        help="table, json or csv",
    )  # fmt: skip
    parser.add_argument("--no-headers", action="store_true", help="no titles above the columns")
    parser.add_argument("zones", metavar="ZONE", nargs="*", type=values.zone, help="only these")


def run(options: Namespace, setting: Setting) -> int:
    """List what is asked for; a name that nobody has is told, and the others are listed."""
    from zonectl.runtime.status import statuses

    context = setting.context()
    zones = statuses(context)
    unknown = [name for name in options.zones if name not in {zone.name for zone in zones}]
    for name in unknown:
        failure.tell(NoSuchZone(name))
    chosen = [
        zone
        for zone in zones
        if (zone.name in options.zones if options.zones else options.all or zone.state.has_processes)
    ]
    print(_rendered(context, options, chosen), end="")
    return failure.NO_SUCH_ZONE if unknown else 0


def _rendered(context: Context, options: Namespace, zones: Sequence[ZoneStatus]) -> str:
    if options.quiet:
        return "".join(f"{zone.name}\n" for zone in zones)
    checkup = _Checkup(context)
    if options.output == "json":
        return table.json_text([data(context, zone, checkup=checkup) for zone in zones])
    columns = _BASE + (_MORE if options.verbose else ())
    if options.parsable:
        rows = [_cells(data(context, zone, checkup=checkup), columns) for zone in zones]
        return "".join(f"{table.colon_line(row)}\n" for row in rows)
    if options.output == "csv":
        rows = [_cells(data(context, zone, checkup=checkup), columns) for zone in zones]
        return table.csv_text(columns, rows, headers=not options.no_headers)
    lines = for_people(
        [data(context, zone, config=options.verbose, checkup=checkup) for zone in zones],
        columns,
        headers=not options.no_headers,
        style=Style.of_output(),
    )
    return "".join(f"{line}\n" for line in lines)


class _Checkup:
    """As runtime's, imported for the first zone that has processes: a list without one needs no sockets."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._checkup: Checkup | None = None

    def ailments(self, zone: ZoneStatus) -> tuple[str, ...]:
        if zone.live is None:
            return ()
        if self._checkup is None:
            from zonectl.runtime.health import Checkup

            self._checkup = Checkup(self._context)
        return self._checkup.ailments(zone)


def for_people(
    zones: Sequence[dict[str, object]], columns: Sequence[Column], *, headers: bool, style: Style
) -> list[str]:
    """The lines of the table."""

    def paint(column: int, cell: str, padded: str) -> str:
        return style.paint(padded, _COLOURS.get(cell)) if column == _STATE_AT else padded

    rows = [[_shown(column.name, _seen(zone, column.name)) for column in columns] for zone in zones]
    return table.aligned(columns, rows, headers=headers, paint=paint)


def _seen(zone: dict[str, object], name: str) -> object:
    """A field as people are to see it: that something is missing of a zone matters more than that it runs."""
    return _DEGRADED if name == "state" and zone[_DEGRADED] else zone[name]


def data(context: Context, zone: ZoneStatus, *, config: bool = True, checkup: _Checkup) -> dict[str, object]:
    """A zone as `-o json` prints it. Without `config` its file is not read: `autostart` and `waived` are None."""
    record, live, last = zone.record, zone.live, zone.last
    described = _config(context, zone.name) if config else None
    return {
        "id": record.id if record else None,
        "name": zone.name,
        "state": zone.state.value,
        "path": context.paths.zone_dir(zone.name),
        "address": record.address if record else None,
        "pid": live.pid if live else None,
        "uptime_s": round(max(0.0, time.time() - live.started_at), 3) if live else None,
        "last_exit": exit_words(last) or None,
        "oom_kills": last.oom_kills if last else None,
        "oom_limit_bytes": last.memory_max_bytes if last else None,
        "oom_peak_bytes": last.memory_peak_bytes if last else None,
        "autostart": described.autostart if described else None,
        "created_at": round(record.created_at, 3) if record else None,
        "waived": waived(described, record) + _maintained(live) if described else None,
        "degraded": list(checkup.ailments(zone)),
    }


def _maintained(live: LiveNote | None) -> list[str]:
    """What a start has waived that the file does not."""
    return ["--writable"] if live and live.writable else []


def waived(config: ZoneConfig, record: ZoneRecord | None) -> list[str]:
    """The keys of the zone's file by which it goes without a protection, without their values."""
    from zonectl.planning.protections import waivers

    return [waiver.name for waiver in waivers(config, record.warnings if record else ())]


def _config(context: Context, name: str) -> ZoneConfig | None:
    from zonectl.runtime.zones import load_config

    try:
        return load_config(context, name)
    except ZonectlError:  # the zone is listed all the same
        return None


def _cells(zone: dict[str, object], columns: Sequence[Column]) -> list[str]:
    """Fields for programs."""
    return [_cell(column.name, zone[column.name]) for column in columns]


def _cell(name: str, value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return _joined(name, value)
    return "" if value is None else str(value)


def _joined(name: str, value: list[str]) -> str:
    return ("; " if name == _DEGRADED else " ").join(value)


def _shown(name: str, value: object) -> str:
    """A field for people."""
    match name, value:
        case _, None | []:
            return "-"
        case _, list():
            return _joined(name, value)
        case "uptime_s", float():
            return span(value)
        case "created_at", float():
            return moment(value)
        case _, bool():
            return "yes" if value else "no"
    return str(value)
