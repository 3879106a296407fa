"""show: all that is known about a zone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.cli import portrait, table, values
from zonectl.cli.table import Style

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from zonectl.cli.setting import Setting

DESCRIPTION = """\
Show all that is known about a zone: its state, what it shares with the host, what it has used, its mounts and
processes, how it ended last, and its configuration with every default.

With --json: one object with the keys of "zonectl list -o json" and shared, cgroup, ids, gateway, layers, pids, mounts,
stats, pressure, warnings, last, damaged, hints and config; what is not known is null.
"""
EXAMPLES = """\
zonectl show web
zonectl show --json web | jq .stats.memory
"""


def arguments(parser: ArgumentParser) -> None:
    """Declare what the verb takes."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("zone", metavar="ZONE", type=values.zone, help="the name of a zone")


def run(options: Namespace, setting: Setting) -> int:
    """Take the portrait, and print it."""
    taken = portrait.take(setting.context(), options.zone)
    if options.json:
        print(table.json_text(portrait.as_data(taken)), end="")
    else:
        print("\n".join(portrait.as_text(taken, Style.of_output())))
    return 0
