"""kill: a signal to init."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from zonectl.cli import choice, values
from zonectl.cli.batch import Batch

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from zonectl.cli.setting import Setting

DESCRIPTION = """\
Send a signal to the init of zones, SIGTERM unless another is named. Nothing else is done: a zone that ends of it counts
as ended by itself, and its restart policy holds. An init gets no signal that it does not handle, save SIGKILL.
"""
EXAMPLES = """\
zonectl kill -s HUP web
zonectl kill -s SIGKILL web
"""


def arguments(parser: ArgumentParser) -> None:
    """Declare what the verb takes."""
    parser.add_argument(
        "-s",
        "--signal",
        metavar="SIGNAL",
        type=values.signal_number,
        default=int(signal.SIGTERM),
        help="a name, with or without SIG, or a number",
    )
    parser.add_argument("zones", metavar="ZONE", nargs="+", type=values.zone, help="the name of a zone")


def run(options: Namespace, setting: Setting) -> int:
    """Send it to one after the other: that takes no time."""
    from zonectl.runtime.stop import kill

    context = setting.context()
    batch = Batch(debug=setting.debug)
    for name in choice.named(options.zones):
        batch.each([name], lambda name: kill(context, name, options.signal))
    return batch.worst
