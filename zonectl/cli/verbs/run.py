"""run: a program in a zone that is gone afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.cli import sources, streams, values

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from zonectl.cli.setting import Setting

DESCRIPTION = """\
Run a program in a new zone of a zone file or an image, in the foreground; nothing is left of the zone afterwards. The
program is the zone file's command, or CMD. Pipes and files of the caller go to it as they are; where the caller has a
terminal, it gets one of its own (~. at the start of a line kills it).
"""
EXAMPLES = """\
zonectl run busybox
zonectl run busybox -- ls -l /
zonectl run -v /srv/www:/www:ro -e TZ=UTC debian:12 -- /www/build
zonectl run --set resources.memory=64MiB ./web.toml
"""


def arguments(parser: ArgumentParser) -> None:
    """Declare what the verb takes."""
    streams.add_terminal(parser)
    streams.add_env(parser)
    sources.add_volume(parser)
    sources.add_set(parser)
    parser.add_argument(
        "--name", metavar="NAME", type=values.zone, help="what the zone's name begins with; an id follows"
    )
    parser.add_argument(
        "source",
        metavar="FILE|IMAGE",
        type=values.text,
        help="a zone file (it has a / or ends in .toml), or an image",
    )
    streams.add_command(parser, help_text="instead of the zone file's command")


def run(options: Namespace, setting: Setting) -> int:
    """Run it; gives the program's own status."""
    from zonectl.runtime.run import run as run_zone

    changes = [*options.set, *([f"name={options.name}"] if options.name else [])]
    zone = sources.load(options.source, changes, command=streams.command(options.command))
    zone = sources.amend(zone, env=options.env, mounts=options.volume)
    frontend = setting.frontend()
    terminal = streams.terminal_type(frontend, wanted=options.terminal)
    return run_zone(setting.context(), zone, frontend, terminal_type=terminal).code
