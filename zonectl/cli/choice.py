"""Choosing zones on the command line: by name, or all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.cli import values
from zonectl.errors import UsageError

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Mapping, Sequence


def add_zones(parser: ArgumentParser, *, all_help: str) -> None:
    """Declare `ZONE...` and `--all`."""
    parser.add_argument("zones", metavar="ZONE", nargs="*", type=values.zone, help="the name of a zone")
    parser.add_argument("--all", action="store_true", help=all_help)


def check(verb: str, zones: Sequence[str], *, chosen: Mapping[str, bool]) -> None:
    """See that zones are named, or chosen by exactly one option.

    Raises:
        UsageError: they are chosen in no way, or in two.

    """
    options = [option for option, given in chosen.items() if given]
    ways = options + (["ZONE"] if zones else [])
    if not ways:
        wanted = " or ".join(["ZONE", *chosen])
        raise UsageError(f"{verb}: {wanted} is missing", hint=f"see zonectl {verb} --help")
    if len(ways) > 1:
        raise UsageError(f"{verb}: {ways[0]} and {ways[1]} exclude each other")


def named(zones: Sequence[str]) -> list[str]:
    """The names as given, each once."""
    return list(dict.fromkeys(zones))
