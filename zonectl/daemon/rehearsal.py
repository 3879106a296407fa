"""What a worker does before its client comes.

Memory that was forked is copied page by page when it is first written to, and Python writes to whatever it looks at
(reference counts): 3.5 us for each of some 2000 pages. A worker that has gone through the motions once has
most of its pages by the time it is needed. Nothing here changes anything outside of the process.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING

from zonectl import config
from zonectl.cgroups import devices
from zonectl.cli import parsing
from zonectl.kernel import proc
from zonectl.model.names import ZoneId
from zonectl.model.steps import Binding
from zonectl.planning import plan, warnings
from zonectl.runtime import filters, status, zones
from zonectl.store import idranges, leases, records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from zonectl.model.config import ZoneConfig
    from zonectl.planning import ZonePlan
    from zonectl.runtime.context import Context

_FOLDER = "/nonexistent"
_ZONE = f"""
name = "rehearsal"
command = ["/bin/true"]
[root]
path = "{_FOLDER}"
"""
_LINES = (
    ("--root", _FOLDER, "--run", _FOLDER, "run", "rehearsal.toml", "--", "/bin/true"),
    ("--root", _FOLDER, "--run", _FOLDER, "exec", "rehearsal", "--", "/bin/true"),
)


def parts(setting: Callable[[], Context]) -> Iterable[Callable[[], object]]:
    """The parts of the rehearsal: command lines, the host, the state, a zone file, its plan. Any may fail."""
    context, zone = cache(setting), cache(_zone)
    yield _parse_lines
    yield context
    yield lambda: _read_state(context())
    yield lambda: config.dumps(zone())
    yield lambda: _plan(context(), zone())
    yield devices.PREPARED.prepare


def _parse_lines() -> None:
    for words in _LINES:
        line = parsing.read(words)
        parsing.parser_of(str(line.verb)).parse_args(list(line.rest))


def _read_state(context: Context) -> None:
    proc.boot_id()
    idranges.ranges(context.paths)
    idranges.subordinate_ranges()
    leases.leases(context.paths)
    for name in records.list_names(context.paths)[:1]:
        status.status(context, name)


def _zone() -> ZoneConfig:
    return config.parse(_ZONE, file="", folder=_FOLDER, overrides=['command=["/bin/true"]'])


def _plan(context: Context, zone: ZoneConfig) -> ZonePlan:
    json.dumps({"warnings": warnings(zone, context.facts)})
    binding = Binding(
        zone_id=ZoneId("00000000"),
        first_id="1000000000",
        address="10.77.0.2/16",
        gateway="10.77.0.1",
        zone_dir=_FOLDER,
        layers=(_FOLDER,),
    )
    return plan(
        zone,
        context.facts,
        context.instance,
        binding=binding,
        resolv_conf=zones.host_resolv_conf(),
        seccomp=filters.of_zone(context, zone, zone.name),
        volatile=True,
    )
