"""help: a verb explained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.cli import parsing

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from zonectl.cli.setting import Setting

DESCRIPTION = "Explain a verb, or list all of them."
EXAMPLES = """\
zonectl help
zonectl help run
"""


def arguments(parser: ArgumentParser) -> None:
    """Declare what the verb takes."""
    parser.add_argument("verb", metavar="VERB", nargs="?", help="the verb to explain")


def run(options: Namespace, setting: Setting) -> int:
    """Print it."""
    del setting
    text = parsing.parser_of(options.verb).format_help() if options.verb else parsing.overview()
    print(text, end="")
    return 0
