"""resume: paused zones go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.cli import choice, values
from zonectl.cli.batch import Batch

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from zonectl.cli.setting import Setting

DESCRIPTION = "Let every process of paused zones go on."
EXAMPLES = "zonectl resume web"


def arguments(parser: ArgumentParser) -> None:
    """Declare what the verb takes."""
    parser.add_argument("zones", metavar="ZONE", nargs="+", type=values.zone, help="the name of a zone")


def run(options: Namespace, setting: Setting) -> int:
    """Thaw them."""
    from zonectl.runtime.freeze import resume

    context = setting.context()
    batch = Batch(debug=setting.debug)
    batch.each(choice.named(options.zones), lambda name: resume(context, name))
    return batch.worst
