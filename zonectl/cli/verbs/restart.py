"""restart: stop what runs, then start it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.cli import choice, starting, values
from zonectl.cli.batch import Batch
from zonectl.cli.verbs.stop import add_timeout, stop_all
from zonectl.errors import ZonectlError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from zonectl.cli.setting import Setting
    from zonectl.runtime.context import Context

DESCRIPTION = """\
Stop zones as stop does, where they run, then start them as start does. A zone that does not run is started.
"""
EXAMPLES = "zonectl restart web"


def arguments(parser: ArgumentParser) -> None:
    """Declare what the verb takes."""
    add_timeout(parser)
    parser.add_argument("zones", metavar="ZONE", nargs="+", type=values.zone, help="the name of a zone")


def run(options: Namespace, setting: Setting) -> int:
    """Stop all, then start those that could be stopped."""
    names = choice.named(options.zones)
    setting.require_warden("restart", names[0])
    context = setting.context()
    batch = Batch(debug=setting.debug)
    running = [name for name in names if _has_processes(context, name, batch)]
    if running:
        stop_all(context, running, batch, timeout_s=options.timeout)
    stopped = [name for name in names if not batch.codes.get(name)]
    if stopped:
        starting.start_all(context, stopped, batch)
    return batch.worst


def _has_processes(context: Context, name: str, batch: Batch) -> bool:
    from zonectl.runtime.status import status

    try:
        return status(context, name).state.has_processes
    except ZonectlError as error:
        batch.note(name, error)
        return False
