"""completion: a script that completes commands in a shell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.cli import scripts

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from zonectl.cli.setting import Setting

DESCRIPTION = """\
Print a script with which a shell completes verbs, options, and the names of zones.
"""
EXAMPLES = """\
zonectl completion bash > /usr/share/bash-completion/completions/zonectl
zonectl completion fish > ~/.config/fish/completions/zonectl.fish
"""


def arguments(parser: ArgumentParser) -> None:
    """Declare what the verb takes."""
    parser.add_argument("shell", metavar="SHELL", choices=sorted(scripts.SCRIPTS), help="bash, fish or zsh")


def run(options: Namespace, setting: Setting) -> int:
    """Print it."""
    del setting
    print(scripts.SCRIPTS[options.shell](), end="")
    return 0
