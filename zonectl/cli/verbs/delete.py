"""delete: from zones to nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.cli import choice, order, question
from zonectl.cli.batch import Batch
from zonectl.errors import NoSuchZone

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from zonectl.cli.setting import Setting

DESCRIPTION = """\
Delete zones with all their files, ids and addresses. It asks first; without a terminal it refuses, unless -f is given.
With -f, zones that run are killed, and damaged ones are removed as well.
"""
EXAMPLES = """\
zonectl delete web
zonectl delete -f web db
zonectl delete --all -f
"""


def arguments(parser: ArgumentParser) -> None:
    """Declare what the verb takes."""
    parser.add_argument("-f", "--force", action="store_true", help="do not ask, and kill what runs")
    choice.add_zones(parser, all_help="every zone of the instance")
    parser.set_defaults(check=check)


def check(options: Namespace) -> None:
    """See that zones are chosen, in one way."""
    choice.check("delete", options.zones, chosen={"--all": options.all})


def run(options: Namespace, setting: Setting) -> int:
    """Ask, then delete the chosen ones, those that depend on others first."""
    from zonectl.runtime.delete import delete
    from zonectl.store import records

    context = setting.context()
    names = choice.named(options.zones) or [str(name) for name in records.list_names(context.paths)]
    if names and not options.force:
        question.confirm("delete", names)
    batch = Batch(debug=setting.debug)

    def act(name: str) -> None:
        try:
            delete(context, name, force=options.force)
        except NoSuchZone:
            # Of all the zones that there were, one that another command has deleted meanwhile is as good as deleted.
            if not options.all:
                raise

    for level in order.down_levels(context, names, batch, all_known=options.all):
        if level:
            batch.each(level, act)
    return batch.worst
