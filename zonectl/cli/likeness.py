"""The portrait of a zone for people, and for programs."""

from __future__ import annotations

import tomllib
from dataclasses import asdict
from typing import TYPE_CHECKING

from zonectl import config as zone_files
from zonectl.cli.moments import exit_words, moment, span
from zonectl.model.escape import escape
from zonectl.model.units import format_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zonectl.cli.portrait import Portrait
    from zonectl.cli.table import Style
    from zonectl.kernel.proc import MountEntry
    from zonectl.model.record import LastExit, LiveNote

_ALSO = {
    "user": "its root is the host's root: it is no security boundary",
    "net": "it sees and uses the host's network: it is no security boundary",
    "uts": "it sees the host's name",
    "ipc": "it sees the host's System V IPC and message queues",
    "time": "its clocks are the host's",
}
_INDENT = "  "
_LABEL = 11
_MICROSECONDS = 1e6


def as_data(taken: Portrait) -> dict[str, object]:
    """The portrait for programs."""
    record, live, last = taken.status.record, taken.status.live, taken.status.last
    config = taken.config
    return {
        "id": record.id if record else None,
        "name": taken.status.name,
        "state": taken.status.state.value,
        "path": taken.path,
        "address": record.address if record else None,
        "pid": live.pid if live else None,
        "writable": live.writable if live else None,
        "uptime_s": round(max(0.0, taken.now - live.started_at), 3) if live else None,
        "last_exit": exit_words(last) or None,
        "oom_kills": last.oom_kills if last else None,
        "oom_limit_bytes": last.memory_max_bytes if last else None,
        "oom_peak_bytes": last.memory_peak_bytes if last else None,
        "autostart": config.autostart if config else None,
        "created_at": round(record.created_at, 3) if record else None,
        "waived": [waiver.name for waiver in taken.waivers] if config else None,
        "shared": list(taken.shared),
        "cgroup": taken.group,
        "ids": asdict(record.ids) if record and record.ids else None,
        "gateway": record.gateway if record else None,
        "layers": list(record.layers) if record else [],
        "pids": list(taken.pids),
        "mounts": [_mount_data(mount) for mount in taken.mounts],
        "stats": asdict(taken.stats) if taken.stats else None,
        "pressure": asdict(taken.pressure) if taken.pressure else None,
        "warnings": list(record.warnings) if record else [],
        "last": asdict(last) if last else None,
        "damaged": taken.status.damaged,
        "degraded": list(taken.degraded),
        "hints": list(taken.hints),
        "config": tomllib.loads(zone_files.dumps(config)) if config else None,
    }


def _mount_data(mount: MountEntry) -> dict[str, object]:
    return {
        "target": mount.target,
        "fstype": mount.fstype,
        "source": mount.source,
        "options": list(mount.options),
    }


def as_text(taken: Portrait, style: Style) -> list[str]:
    """The portrait for people; every line is escaped."""
    sections = (
        ("", _facts(taken)),
        ("shared with the host", _shared_lines(taken)),
        ("waived by its file", _waived_lines(taken)),
        ("used", _used(taken)),
        ("waited (share of the last 10 s)", _waited(taken)),
        ("mounts", _mount_lines(taken)),
        ("hints", [f"{_INDENT}{hint}" for hint in (*taken.hints, *_remedy(taken))]),
        ("configuration", _config_lines(taken)),
    )
    lines = [style.paint(f"{taken.status.name}: {taken.status.state.value}", "bold")]
    for title, body in sections:
        shown = [escape(line) for line in body]
        if title and shown:
            lines += ["", style.paint(title, "bold")]
        lines += shown
    return lines


def _line(label: str, text: object) -> str:
    return f"{_INDENT}{label:<{_LABEL}} {text}"


def _live_facts(live: LiveNote, now: float) -> Iterator[str]:
    yield _line("pid", f"{live.pid}, up {span(now - live.started_at)}")
    if live.writable:
        yield _line("root", "writable until it stops: started with --writable")


def _facts(taken: Portrait) -> Iterator[str]:
    record, live, last = taken.status.record, taken.status.live, taken.status.last
    yield from _ailments(taken)
    if record:
        yield _line("id", record.id)
        yield _line("created", moment(record.created_at))
    yield _line("path", taken.path)
    if live:
        yield from _live_facts(live, taken.now)
    if record and record.address:
        yield _line("address", f"{record.address}, by {record.gateway}")
    if record and record.ids:
        yield _line(
            "ids",
            f"0-{record.ids.count - 1} are the host's {record.ids.first}-{record.ids.host_id(record.ids.count - 1)}",
        )
    if taken.group:
        yield _line("cgroup", taken.group)
    if last:
        yield _line("last exit", f"{exit_words(last)}{_killed(last)}, {moment(last.ended_at)}")
    for warning in record.warnings if record else ():
        yield _line("warning", warning)


def _killed(last: LastExit) -> str:
    if not last.oom_kills:
        return ""
    sizes = {"limit": last.memory_max_bytes, "peak": last.memory_peak_bytes}
    told = ", ".join(f"{name} {_mib(size)}" for name, size in sizes.items() if size is not None)
    return f", {last.oom_kills} killed for memory" + (f" ({told})" if told else "")


def _ailments(taken: Portrait) -> Iterator[str]:
    if taken.status.damaged:
        yield _line("damaged", taken.status.damaged)
    for ailment in taken.degraded:
        yield _line("degraded", ailment)


def _remedy(taken: Portrait) -> tuple[str, ...]:
    return (f"zonectl repair {taken.status.name}",) if taken.degraded else ()


def _shared_lines(taken: Portrait) -> list[str]:
    return [f"{_INDENT}{kind}: shared with the host; {_ALSO[kind]}" for kind in taken.shared]


def _waived_lines(taken: Portrait) -> list[str]:
    """What is not told with what is shared."""
    return [
        f"{_INDENT}{waiver.key}: without {waiver.protection}"
        for waiver in taken.waivers
        if not waiver.key.startswith("namespaces.")
    ]


def _used(taken: Portrait) -> Iterator[str]:
    stats = taken.stats
    if stats is None:
        return
    if taken.pids:
        yield _line("processes", f"{len(taken.pids)}: {' '.join(map(str, taken.pids[:20]))}")
    if stats.cpu:
        throttled = f", throttled {stats.cpu.nr_throttled} times" if stats.cpu.nr_throttled else ""
        yield _line("cpu", f"{stats.cpu.usage_us / _MICROSECONDS:.2f} s{throttled}")
    if stats.memory:
        limit = "no limit" if stats.memory.max_bytes is None else f"of {format_size(stats.memory.max_bytes)}"
        yield _line("memory", f"{_mib(stats.memory.current_bytes)}, {limit}")
        if stats.memory.events.oom_kill:
            yield _line("oom kills", stats.memory.events.oom_kill)
    if stats.pids:
        limit = "no limit" if stats.pids.max is None else f"of {stats.pids.max}"
        yield _line("pids", f"{stats.pids.current}, {limit}; refused {stats.pids.refused}")
    for device in stats.io or ():
        yield _line(
            f"io {device.device}", f"read {_mib(device.read_bytes)}, written {_mib(device.write_bytes)}"
        )


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / (1 << 20):.1f}MiB"


def _waited(taken: Portrait) -> Iterator[str]:
    if taken.pressure is None:
        return
    for name in ("cpu", "memory", "io"):
        found = getattr(taken.pressure, name)
        if found is not None and found.some is not None:
            yield _line(name, f"{found.some.avg10:.1f}%")


def _mount_lines(taken: Portrait) -> list[str]:
    return [f"{_INDENT}{mount.target} {mount.fstype} {','.join(mount.options)}" for mount in taken.mounts]


def _config_lines(taken: Portrait) -> list[str]:
    if taken.config is None:
        return []
    return [f"{_INDENT}{line}".rstrip() for line in zone_files.dumps(taken.config).splitlines()]
