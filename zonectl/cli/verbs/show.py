"""show: all that is known about a zone, or what really protects the host from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.cli import audit, failure, likeness, portrait, table, values
from zonectl.cli.table import Style

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from zonectl.cli.setting import Setting

DESCRIPTION = """\
Show all that is known about a zone: its state, what it shares with the host, what it has used, its mounts and
processes, how it ended last, and its configuration with every default.

With --json: one object with the keys of "zonectl list -o json" and shared, cgroup, ids, gateway, layers, pids, mounts,
stats, pressure, warnings, last, damaged, hints and config; what is not known is null.

With --security: of a running zone, what the kernel says of its init, its mounts and its group, beside what its file
declares, and which protections the file waives. The exit status is 1 if the zone has anything that was not declared;
"narrower" is what a program has given up itself. Of seccomp filters the first is read back, for which init is
stopped for less than a millisecond. With --json as well: an object with the keys name, pid, holds, findings (a list
of area, name, declared, found, verdict (holds, narrower, differs or unread) and detail), waived (key, protection) and
untold (what no kernel tells of another process).
"""
EXAMPLES = """\
zonectl show web
zonectl show --json web | jq .stats.memory
zonectl show --security web
"""


def arguments(parser: ArgumentParser) -> None:
    """Declare what the verb takes."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--security", action="store_true", help="what holds of its protections, and what does not"
    )
    parser.add_argument("zone", metavar="ZONE", type=values.zone, help="the name of a zone")


def run(options: Namespace, setting: Setting) -> int:
    """Take the portrait or the audit, and print it."""
    if options.security:
        return _audit(options, setting)
    taken = portrait.take(setting.context(), options.zone)
    if options.json:
        print(table.json_text(likeness.as_data(taken)), end="")
    else:
        print("\n".join(likeness.as_text(taken, Style.of_output())))
    return 0


def _audit(options: Namespace, setting: Setting) -> int:
    taken = audit.take(setting.context(), options.zone)
    if options.json:
        print(table.json_text(audit.as_data(taken)), end="")
    else:
        print("\n".join(audit.as_text(taken, Style.of_output())))
    return 0 if taken.holds else failure.FAILED
