"""pause: zones frozen where they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.cli import choice, values
from zonectl.cli.batch import Batch

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from zonectl.cli.setting import Setting

DESCRIPTION = """\
Freeze every process of zones. They keep their memory and use no processor until they are resumed.
"""
EXAMPLES = """\
zonectl pause web
zonectl resume web
"""


def arguments(parser: ArgumentParser) -> None:
    """Declare what the verb takes."""
    parser.add_argument("zones", metavar="ZONE", nargs="+", type=values.zone, help="the name of a zone")


def run(options: Namespace, setting: Setting) -> int:
    """Freeze them, all at the same time."""
    from zonectl.runtime.freeze import pause

    context = setting.context()
    batch = Batch(debug=setting.debug)
    batch.each(choice.named(options.zones), lambda name: pause(context, name))
    return batch.worst
