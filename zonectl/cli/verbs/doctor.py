"""doctor: what zones need of this host, really tried."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from zonectl.cli import failure, table
from zonectl.cli.table import Column, Style
from zonectl.model.escape import escape

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Sequence

    from zonectl.cli.setting import Setting
    from zonectl.model.facts import Probe

DESCRIPTION = """\
Try everything that zones rely on, on this host and for real, which takes about a second and leaves nothing. Of what
is lacking, the remedy is told; the exit status is 1 if zones cannot do without it.

With --json: a list of objects with the keys name, ok, seen, needed and remedy.
"""
EXAMPLES = "zonectl doctor"

_COLUMNS = (Column("name", "PROBE"), Column("verdict", "VERDICT"), Column("seen", "SEEN"))
_VERDICT_AT = 1
_COLOURS = {"ok": "green", "lacking": "red", "without": "yellow"}


def arguments(parser: ArgumentParser) -> None:
    """Declare what the verb takes."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: Namespace, setting: Setting) -> int:
    """Try all, and tell."""
    from zonectl.kernel.probe import probes

    found = probes(setting.facts(), root=setting.instance.root)
    if options.json:
        print(table.json_text([asdict(each) for each in found]), end="")
    else:
        print("\n".join(as_text(found, Style.of_output())))
    return failure.FAILED if any(each.needed and not each.ok for each in found) else 0


def as_text(found: Sequence[Probe], style: Style) -> list[str]:
    """The table, then a remedy for each lack, what is needed first."""

    def paint(column: int, cell: str, padded: str) -> str:
        return style.paint(padded, _COLOURS.get(cell)) if column == _VERDICT_AT else padded

    rows = [[each.name, verdict(each), each.seen] for each in found]
    lines = table.aligned(_COLUMNS, rows, paint=paint)
    lacking = sorted((each for each in found if not each.ok), key=lambda each: not each.needed)
    return lines + [escape(f"{each.name}: {_remedy(each)}") for each in lacking]


def verdict(probe: Probe) -> str:
    """One word: "lacking" is needed and not there, "without" is not there and not needed."""
    if probe.ok:
        return "ok"
    return "lacking" if probe.needed else "without"


def _remedy(probe: Probe) -> str:
    return probe.remedy or "no remedy is known"
