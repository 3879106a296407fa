"""learn: what a workload needs, found by watching it and by taking away."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

from zonectl.cli import sources, streams, values
from zonectl.errors import UsageError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from zonectl.cli.setting import Setting

DESCRIPTION = """\
Find out what a workload needs, and print the [security] table that grants that and nothing else. The workload is run
again and again, as `run` would: watched first, then with capabilities taken away, then system calls, until nothing can
be taken away any more. It must end by itself, and do the same each time: what it changes outside of its zone (by -v, or
over the network) stays. It has no terminal; its input is read once, and given to each run.

A run succeeds when the exit status is N, and the standard output is that of the first run; the latter counts only if
the first two runs wrote the same. Nothing is granted that the zone file does not grant.
"""
EXAMPLES = """\
zonectl learn ./web.toml -- /usr/bin/self-test
zonectl learn --output web-seccomp.toml ./web.toml >> security.toml
zonectl learn --set 'security.capabilities=["all"]' debian:12 -- ping -c 1 127.0.0.1
"""
_MOST_STATUS = 255


def arguments(parser: ArgumentParser) -> None:
    """Declare what the verb takes."""
    streams.add_env(parser)
    sources.add_volume(parser)
    sources.add_set(parser)
    parser.add_argument(
        "--output",
        metavar="FILE",
        type=values.text,
        help="the file for the profile of system calls (NAME-seccomp.toml)",
    )
    parser.add_argument("-f", "--force", action="store_true", help="write over that file")
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=values.seconds,
        default=60.0,
        help="how long one run may take (60)",
    )
    parser.add_argument(
        "--status", metavar="N", type=values.count, default=0, help="the exit status that is success (0)"
    )
    parser.add_argument("--ignore-output", action="store_true", help="let the standard output be anything")
    parser.add_argument(
        "--quick", action="store_true", help="grant every call that was seen, without taking each away"
    )
    parser.add_argument(
        "source",
        metavar="FILE|IMAGE",
        type=values.text,
        help="a zone file (it has a / or ends in .toml), or an image",
    )
    streams.add_command(parser, help_text="instead of the zone file's command")
    parser.set_defaults(check=_check)


def _check(options: Namespace) -> None:
    if options.status > _MOST_STATUS:
        raise UsageError(f"there is no exit status {options.status}")


def run(options: Namespace, setting: Setting) -> int:
    """Learn, write the profile, print the table."""
    from zonectl.cli import lesson
    from zonectl.runtime.learning.course import learn
    from zonectl.store import documents

    zone = sources.load(options.source, options.set, command=streams.command(options.command))
    zone = sources.amend(zone, env=options.env, mounts=options.volume)
    path = os.path.abspath(options.output or f"{zone.name}-seccomp.toml")
    if os.path.lexists(path) and not options.force:
        raise UsageError(f"{path} is there already", hint="give another --output, or --force")
    with ExitStack() as held:
        lesson.end_at_signals(held)
        context = setting.context()
        learned = learn(context, lesson.make(zone, options, facts=context.facts, held=held))
    text = lesson.profile_file(zone, learned)
    documents.write_text(path, text)
    print(lesson.table(zone, learned, path=path), end="")
    return 0
