"""repair: what somebody took away from running zones is put back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.cli import choice, values
from zonectl.cli.batch import Batch
from zonectl.model.escape import escape

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from zonectl.cli.setting import Setting

DESCRIPTION = """\
Put back what is missing of zones that run: the bridge, the rules of firewall and routing, their link with its address,
their control group. Nothing in them ends. "zonectl list" shows such zones as degraded, "zonectl show" says why.
"""
EXAMPLES = "zonectl repair web"


def arguments(parser: ArgumentParser) -> None:
    """Declare what the verb takes."""
    parser.add_argument("zones", metavar="ZONE", nargs="+", type=values.zone, help="the name of a zone")


def run(options: Namespace, setting: Setting) -> int:
    """Repair them, and say what was mended."""
    from zonectl.runtime.repair import repair

    context = setting.context()
    batch = Batch(debug=setting.debug)

    def act(name: str) -> None:
        for mended in repair(context, name):
            print(escape(f"{name}: mended: {mended}"), flush=True)

    batch.each(choice.named(options.zones), act)
    return batch.worst
