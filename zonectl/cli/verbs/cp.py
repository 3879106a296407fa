"""cp: files into a zone and out of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from zonectl.cli import failure, values
from zonectl.errors import UsageError
from zonectl.model.escape import escape
from zonectl.model.names import ZONE_NAME

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from zonectl.cli.setting import Setting

DESCRIPTION = """\
Copy a file or a folder with all in it into a zone, or out of it: one of SRC and DST is ZONE:PATH, with an absolute PATH
in the zone. Into DST if that is a folder, else as DST. The host's path may be written as ./a:b where it has a colon.
"""
EXAMPLES = """\
zonectl cp site.conf web:/etc/nginx/
zonectl cp web:/var/log/nginx ./logs
"""


def arguments(parser: ArgumentParser) -> None:
    """Declare what the verb takes."""
    parser.add_argument("source", metavar="SRC", type=values.text, help="a path, or ZONE:PATH")
    parser.add_argument("target", metavar="DST", type=values.text, help="a path, or ZONE:PATH")
    parser.set_defaults(check=check)


def check(options: Namespace) -> None:
    """See that one side is in a zone, and the other on the host."""
    source, target = place(options.source), place(options.target)
    if (source is None) == (target is None):
        both = "both" if source else "neither of both"
        raise UsageError(f"cp: one of SRC and DST is ZONE:PATH, not {both}", hint="see zonectl cp --help")


def run(options: Namespace, setting: Setting) -> int:
    """Copy."""
    from zonectl.runtime import copying

    source, target = place(options.source), place(options.target)
    context = setting.context()
    if target is not None:
        left = copying.copy_in(context, target[0], os.path.abspath(options.source), target=target[1])
    elif source is not None:
        left = copying.copy_out(context, source[0], source[1], target=_on_host(options.target))
    else:
        left = ()  # `check` has seen to it
    for what in left:
        failure.complain(f"zonectl: left out: {escape(what)}")
    return 0


def place(word: str) -> tuple[str, str] | None:
    """The zone and the path in it; None for a path of the host's.

    Raises:
        UsageError: the path in the zone is not absolute.

    """
    zone, colon, path = word.partition(":")
    if not colon or not ZONE_NAME.match(zone):
        return None
    if not path.startswith("/"):
        raise UsageError(f"cp: a path in a zone is absolute: {zone}:/{path}")
    return zone, path


def _on_host(path: str) -> str:
    """Absolute, and with the slash at its end that asks for a folder."""
    whole = os.path.abspath(path)
    return os.path.join(whole, "") if path.endswith("/") else whole
