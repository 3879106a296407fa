"""The program of a foreground verb: which words it is, and whether it gets a terminal."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from zonectl.cli import values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zonectl.runtime.frontend import Frontend


def add_terminal(parser: argparse.ArgumentParser) -> None:
    """Declare `-t` and `-T`."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "-t", "--tty", dest="terminal", action="store_true", default=None, help="always give it a terminal"
    )
    group.add_argument(
        "-T", "--no-tty", dest="terminal", action="store_false", help="never give it a terminal"
    )


def add_env(parser: argparse.ArgumentParser) -> None:
    """Declare `-e`."""
    parser.add_argument(
        "-e",
        "--env",
        metavar="NAME[=VALUE]",
        action="append",
        default=[],
        type=values.variable,
        help="set a variable, to the caller's value if none is given",
    )


def add_command(parser: argparse.ArgumentParser, *, help_text: str) -> None:
    """Declare the program: all words after the one before it, options among them."""
    words = parser.add_argument("command", metavar="CMD", nargs=argparse.REMAINDER, help=help_text)
    words.required = False  # argparse would count no words as a missing argument


def command(words: Sequence[str]) -> tuple[str, ...]:
    """The program's words, without the `--` that may stand before them."""
    return tuple(words[1:] if words and words[0] == "--" else words)


def terminal_type(frontend: Frontend, *, wanted: bool | None) -> str | None:
    """The type of the terminal that the program gets, None for none; by itself where the caller has one."""
    if not (frontend.interactive if wanted is None else wanted):
        return None
    return os.environ.get("TERM") or "dumb"
