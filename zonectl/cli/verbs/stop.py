"""stop: from running zones to installed ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.cli import choice, order, question, values
from zonectl.cli.batch import Batch

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from zonectl.cli.setting import Setting
    from zonectl.runtime.context import Context

DESCRIPTION = """\
Stop zones: ask init by the stop signal of the zone file, and kill what is left after its stop timeout. Zones that
depend on others stop before them. A zone that was stopped is not restarted by its restart policy.
"""
EXAMPLES = """\
zonectl stop web
zonectl stop -t 0 web
zonectl stop --all -f
"""


def arguments(parser: ArgumentParser) -> None:
    """Declare what the verb takes."""
    add_timeout(parser)
    parser.add_argument("-f", "--force", action="store_true", help="with --all: do not ask")
    choice.add_zones(parser, all_help="every zone that has processes")
    parser.set_defaults(check=check)


def add_timeout(parser: ArgumentParser) -> None:
    """Declare how long a zone may take."""
    parser.add_argument(
        "-t",
        "--timeout",
        metavar="SECONDS",
        type=values.seconds,
        help="instead of the zone file's stop_timeout; 0 kills at once",
    )


def check(options: Namespace) -> None:
    """See that zones are chosen, in one way."""
    choice.check("stop", options.zones, chosen={"--all": options.all})


def run(options: Namespace, setting: Setting) -> int:
    """Stop the chosen ones."""
    context = setting.context()
    names = choice.named(options.zones)
    if options.all:
        names = _alive(context)
        if names and not options.force:
            question.confirm("stop", names)
    batch = Batch(debug=setting.debug)
    stop_all(context, names, batch, timeout_s=options.timeout)
    return batch.worst


def stop_all(context: Context, names: list[str], batch: Batch, *, timeout_s: float | None = None) -> None:
    """Stop the zones `names`, those that depend on others first; a failure holds none of the others up."""
    from zonectl.runtime.stop import stop

    for level in order.down_levels(context, names, batch):
        if level:
            batch.each(level, lambda name: stop(context, name, timeout_s=timeout_s))


def _alive(context: Context) -> list[str]:
    from zonectl.runtime.status import statuses

    return [each.name for each in statuses(context) if each.state.has_processes]
