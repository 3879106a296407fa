"""shell: a login shell in a running zone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.cli import streams, values

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from zonectl.cli.setting import Setting

DESCRIPTION = """\
Open the login shell of a user in a running zone, root's unless another is named, in the user's home. It gets a terminal
of its own where the caller has one (~. at the start of a line kills it).
"""
EXAMPLES = """\
zonectl shell web
zonectl shell -u www-data web
"""


def arguments(parser: ArgumentParser) -> None:
    """Declare what the verb takes."""
    streams.add_terminal(parser)
    streams.add_env(parser)
    parser.add_argument(
        "-u", "--user", metavar="USER", type=values.text, default="root", help="a name or an id in the zone"
    )
    parser.add_argument("zone", metavar="ZONE", type=values.zone, help="the name of a zone")


def run(options: Namespace, setting: Setting) -> int:
    """Open it; gives the shell's own status."""
    from zonectl.model.config import HOME
    from zonectl.runtime.exec import Request, execute

    frontend = setting.frontend()
    request = Request(
        argv=(),
        user=options.user,
        workdir=HOME,
        env=tuple(options.env),
        terminal_type=streams.terminal_type(frontend, wanted=options.terminal),
    )
    return execute(setting.context(), options.zone, request, frontend=frontend).code
