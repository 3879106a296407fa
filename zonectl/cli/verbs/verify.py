"""verify: everything that is wrong with zone files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from zonectl import config
from zonectl.cli import failure
from zonectl.errors import ConfigError
from zonectl.model.escape import escape
from zonectl.model.seccomp import OFF, PROFILES

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from zonectl.cli.setting import Setting
    from zonectl.config import Loaded
    from zonectl.model.problems import Problem

NAMED = {OFF, *PROFILES}
"""Profiles that are no file."""

DESCRIPTION = """\
Check zone files without doing anything, and the files of system calls that they name. Every problem is told at once,
as FILE:LINE: KEY: what is wrong; the exit status is 2 then. Of several files, circles of dependencies are found as
well.
"""
EXAMPLES = """\
zonectl verify web.toml
zonectl verify -q /etc/zones
"""


def arguments(parser: ArgumentParser) -> None:
    """Declare what the verb takes."""
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing about good files")
    parser.add_argument("files", metavar="FILE", nargs="+", help="a zone file, or a folder of them")


def run(options: Namespace, setting: Setting) -> int:
    """Check each file with what it names, then all of them together."""
    good: dict[str, Loaded] = {}
    status = 0
    for path in options.files:
        try:
            good |= _load(path)
        except ConfigError as error:
            failure.tell(error)
            status = failure.USAGE
    profiles = _profiles(good, setting)
    if profiles:
        failure.tell(ConfigError([problem for problems in profiles.values() for problem in problems]))
        status = failure.USAGE
    circles = _circles(good)
    if circles:
        failure.tell(ConfigError(circles))
        return failure.USAGE
    if not options.quiet:
        for path in good:
            if path not in profiles:
                print(f"{escape(path)}: ok")
    return status


def _load(path: str) -> dict[str, Loaded]:
    if not os.path.isdir(path):
        return {path: config.load(path)}
    return {os.path.join(path, os.path.basename(each.path)): each for each in config.load_directory(path)}


def _profiles(good: dict[str, Loaded], setting: Setting) -> dict[str, list[Problem]]:
    """By zone file, what `create` would find of its file of system calls; what several name is told once."""
    naming = {path: each.config for path, each in good.items() if each.config.security.seccomp not in NAMED}
    if not naming:
        return {}
    from zonectl.runtime import filters

    facts = setting.facts()
    told: set[Problem] = set()
    found: dict[str, list[Problem]] = {}
    for path, zone in naming.items():
        try:
            filters.of_config(zone, facts)
        except ConfigError as error:
            found[path] = [problem for problem in error.problems if problem not in told]
            told |= set(error.problems)
    return found


def _circles(good: dict[str, Loaded]) -> list[Problem]:
    """Circles among the files; whether other zones exist is for create to say."""
    configs = {path: each.config for path, each in good.items()}
    elsewhere = {name for each in configs.values() for name in each.depends_on}
    return config.check_dependencies(
        configs, elsewhere, texts={path: each.text for path, each in good.items()}
    )
