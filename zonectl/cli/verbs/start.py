"""start: from installed zones to running ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.cli import choice, starting
from zonectl.cli.batch import Batch

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from zonectl.cli.setting import Setting
    from zonectl.runtime.context import Context

DESCRIPTION = """\
Start zones. What they depend on and is not up is started before them; zones that do not depend on each other start
at the same time. A zone that fails keeps only those back that depend on it. A zone that is ready goes on from there.
"""
EXAMPLES = """\
zonectl start web db
zonectl start --autostart
zonectl start --writable appliance
"""


def arguments(parser: ArgumentParser) -> None:
    """Declare what the verb takes."""
    choice.add_zones(parser, all_help="every zone that does not run")
    parser.add_argument(
        "--autostart", action="store_true", help="those that do not run and have autostart in their file"
    )
    parser.add_argument(
        "--writable",
        action="store_true",
        help="maintain an immutable zone (root.profile): all of its root is writable until it stops",
    )
    parser.set_defaults(check=check)


def check(options: Namespace) -> None:
    """See that zones are chosen, in one way."""
    choice.check("start", options.zones, chosen={"--all": options.all, "--autostart": options.autostart})


def run(options: Namespace, setting: Setting) -> int:
    """Start the chosen ones."""
    batch = Batch(debug=setting.debug)
    context = setting.context()
    names = choice.named(options.zones) or _standing(context, batch, autostart=options.autostart)
    if names:
        setting.require_warden("start", names[0])
        starting.start_all(context, names, batch, writable=options.writable)
    return batch.worst


def _standing(context: Context, batch: Batch, *, autostart: bool) -> list[str]:
    """The zones that are not up; with `autostart` those that are to come up by themselves."""
    from zonectl.cli import order
    from zonectl.model.state import ZoneState
    from zonectl.runtime.status import statuses

    up = {ZoneState.RUNNING, ZoneState.PAUSED}
    names = [each.name for each in statuses(context) if each.state not in up]
    if not autostart:
        return names
    configs = order.load_each(context, names, batch)
    return [name for name, config in configs.items() if config.autostart]
