"""exec: a program in a running zone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.cli import streams, values
from zonectl.errors import UsageError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from zonectl.cli.setting import Setting

DESCRIPTION = """\
Run a program in a running zone, under the same restrictions as the zone's own. Options stand before ZONE; all words
after it are the program's. Pipes and files of the caller go to it as they are; where the caller has a terminal, it
gets one of its own (~. at the start of a line kills it).
"""
EXAMPLES = """\
zonectl exec web ps
zonectl exec -u www-data -w /var/www web -- ls -l
tar c . | zonectl exec -T web tar x -C /srv
"""


def arguments(parser: ArgumentParser) -> None:
    """Declare what the verb takes."""
    streams.add_terminal(parser)
    streams.add_env(parser)
    parser.add_argument(
        "-u",
        "--user",
        metavar="USER[:GROUP]",
        type=values.text,
        help="names or ids in the zone; the zone file's user",
    )
    parser.add_argument("-w", "--workdir", metavar="DIR", type=values.folder, help="the zone file's workdir")
    parser.add_argument("zone", metavar="ZONE", type=values.zone, help="the name of a zone")
    streams.add_command(parser, help_text="the program and its arguments")
    parser.set_defaults(check=check)


def check(options: Namespace) -> None:
    """See that there is a program."""
    if not streams.command(options.command):
        raise UsageError("exec: CMD is missing", hint=f"zonectl shell {options.zone}")


def run(options: Namespace, setting: Setting) -> int:
    """Run it; gives the program's own status."""
    from zonectl.runtime.exec import Request, execute

    frontend = setting.frontend()
    request = Request(
        argv=streams.command(options.command),
        user=options.user,
        workdir=options.workdir,
        env=tuple(options.env),
        terminal_type=streams.terminal_type(frontend, wanted=options.terminal),
    )
    return execute(setting.context(), options.zone, request, frontend=frontend).code
