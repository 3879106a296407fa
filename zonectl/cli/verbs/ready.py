"""ready: the platform of zones, without a program in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.cli import choice, values
from zonectl.cli.batch import Batch

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from zonectl.cli.setting import Setting

DESCRIPTION = """\
Bring up the platform of zones: namespaces, mounts, network and control group, with init parked in them. A start then
has only to tell it to execute the zone's program.
"""
EXAMPLES = """\
zonectl ready web
zonectl start web
"""


def arguments(parser: ArgumentParser) -> None:
    """Declare what the verb takes."""
    parser.add_argument("zones", metavar="ZONE", nargs="+", type=values.zone, help="the name of a zone")


def run(options: Namespace, setting: Setting) -> int:
    """Make the zones ready, all at the same time."""
    from zonectl.runtime import start

    names = choice.named(options.zones)
    setting.require_warden("ready", names[0])
    context = setting.context()
    batch = Batch(debug=setting.debug)
    batch.each(names, lambda name: start.ready(context, name))
    return batch.worst
