"""Where a zone comes from: a file, or an image with everything else left to the defaults; and changes to either."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from zonectl import config
from zonectl.cli import values
from zonectl.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Sequence

    from zonectl.model.config import MountConfig, ZoneConfig
    from zonectl.model.problems import Problem

_COMMAND_LINE = "command line"
_NAME_LENGTH = 40


def is_file(source: str) -> bool:
    """Whether a word that may be a file or something else is a file."""
    return "/" in source or source.endswith(".toml")


def add_set(parser: ArgumentParser) -> None:
    """Declare `--set`."""
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        type=values.change,
        help="change the zone file: resources.memory=1GiB, mount[0].readonly=true",
    )


def add_volume(parser: ArgumentParser) -> None:
    """Declare `-v`."""
    parser.add_argument(
        "-v",
        "--volume",
        metavar="SRC:DST[:ro]",
        action="append",
        default=[],
        type=values.volume,
        help="mount the host's SRC at DST",
    )


def load(source: str, changes: Sequence[str], *, command: Sequence[str] = ()) -> ZoneConfig:
    """The zone of a file, or one of an image, with the changes of `--set`, and with `command` in place of its own.

    Raises:
        ConfigError: the file, the image's name, a change or the command has problems.
        UsageError: there is no working directory.

    """
    if command:
        changes = [*changes, f"command={config.words_text(command)}"]
    try:
        if is_file(source):
            return config.load(source, changes).config
        text = f'name = "{name_of(source)}"\n'
        overrides = [f"root.image={source}", *changes]
        return config.parse(text, file=_COMMAND_LINE, folder=_here(), overrides=overrides)
    except ConfigError as error:
        if not command:
            raise
        raise ConfigError([_of_command(problem) for problem in error.problems]) from error


def _of_command(problem: Problem) -> Problem:
    """What is wrong with a command was not written behind a `--set`."""
    own = problem.line is None and problem.key.startswith("command")
    return replace(problem, file=_COMMAND_LINE) if own else problem


def _here() -> str:
    try:
        return os.getcwd()
    except OSError as error:
        raise UsageError(f"the working directory: {error.strerror}") from error


def name_of(image: str) -> str:
    """A zone's name after an image: "debian" for "debian:12"."""
    bare = image.rpartition("/")[2].partition("@")[0].partition(":")[0].lower()
    return re.sub(r"[^a-z0-9]+", "-", bare)[:_NAME_LENGTH].strip("-") or "zone"


def amend(
    zone: ZoneConfig,
    *,
    env: Sequence[tuple[str, str]] = (),
    mounts: Sequence[MountConfig] = (),
) -> ZoneConfig:
    """The zone with more variables and mounts, read anew so that all rules are kept.

    Raises:
        ConfigError: it is no good zone any more.

    """
    amended = replace(
        zone,
        env=tuple({**dict(zone.env), **dict(env)}.items()),
        mounts=(*zone.mounts, *mounts),
    )
    if amended == zone:
        return zone
    try:
        return config.parse(config.dumps(amended), file=_COMMAND_LINE, folder=_here())
    except ConfigError as error:
        # The lines are those of a text that nobody has seen.
        raise ConfigError([replace(problem, line=None) for problem in error.problems]) from error
