"""The command line: one module per verb, each parses, calls, renders and gives an exit code.

The only room that prints or exits. `main` is what the client calls in place, and what zoned's workers call warm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zonectl.runtime.frontend import Frontend, Warden

__all__ = ["main", "preload"]


def main(argv: Sequence[str], *, frontend: Frontend | None = None, warden: Warden | None = None) -> int:
    """Run the command line `argv`, without the program's name, and return its exit status.

    Without `frontend` the caller is this very process (`zonectl.cli.local`). Without `warden` no zone can be started
    that runs on after the command. Only with a front end may it raise, and then only what nobody foresaw.
    """
    from zonectl.cli import command

    return command.run(argv, frontend=frontend, warden=warden)


def preload() -> None:
    """Import every verb and make its parser, for a warm parent; a cold command does so for its own alone."""
    from zonectl.cli import catalog, command, parsing

    del command
    parsing.read(())
    for name in catalog.VERBS:
        parsing.parser_of(name)
