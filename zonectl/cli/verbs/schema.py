"""schema: the JSON Schema of the zone file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl import config

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from zonectl.cli.setting import Setting

DESCRIPTION = """\
Print the JSON Schema of the zone file, with which an editor completes keys and marks mistakes: name it in the first
line of the file, as "#:schema ./zone.schema.json".
"""
EXAMPLES = "zonectl schema > zone.schema.json"


def arguments(parser: ArgumentParser) -> None:
    """Declare what the verb takes: nothing."""
    del parser


def run(options: Namespace, setting: Setting) -> int:
    """Print it."""
    del options, setting
    print(config.schema_text(), end="")
    return 0
