"""create: from zone files to installed zones."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from zonectl import config
from zonectl.cli import failure, sources
from zonectl.cli.batch import Batch
from zonectl.errors import ConfigError, UsageError
from zonectl.model.escape import escape

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from zonectl.cli.setting import Setting
    from zonectl.config import Loaded
    from zonectl.model.problems import Problem
    from zonectl.runtime.context import Context

DESCRIPTION = """\
Create zones: install their roots, give them ids and addresses. A zone keeps a copy of its file, with relative paths
made absolute; later changes of the file are none of the zone. A create that fails leaves nothing.
"""
EXAMPLES = """\
zonectl create web.toml
zonectl create --set resources.memory=1GiB --set name=web2 web.toml
zonectl create /etc/zones
"""


def arguments(parser: ArgumentParser) -> None:
    """Declare what the verb takes."""
    sources.add_set(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="do not say what was created")
    parser.add_argument("files", metavar="FILE|DIR", nargs="+", help="a zone file, or a folder of them")


def run(options: Namespace, setting: Setting) -> int:
    """Read all files, check them together, then create zone after zone."""
    from zonectl.runtime.create import create

    loaded = _load(options.files, options.set)
    context = setting.context()
    _check(context, loaded)
    batch = Batch(debug=setting.debug)
    for each in loaded:

        def act(name: str, each: Loaded = each) -> None:
            record = create(context, each.config, _text(each, options.set))
            for warning in record.warnings:
                failure.complain(f"zonectl: {name}: warning: {escape(warning)}")
            if not options.quiet:
                print(f"created {name}", flush=True)

        batch.each([each.config.name], act)
    return batch.worst


def _load(files: list[str], changes: list[str]) -> list[Loaded]:
    """Every file that is named.

    Raises:
        ConfigError: with the problems of all of them.
        UsageError: changes for a whole folder.

    """
    loaded: list[Loaded] = []
    problems: list[Problem] = []
    for path in files:
        is_folder = os.path.isdir(path)
        if is_folder and changes:
            raise UsageError(f"create: --set changes a file, and {path} is a folder")
        try:
            loaded += config.load_directory(path) if is_folder else [config.load(path, changes)]
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    if not loaded:
        raise UsageError(f"create: there is no zone file in {' '.join(files)}")
    return loaded


def _check(context: Context, loaded: list[Loaded]) -> None:
    """Refuse dependencies that nobody has, and two files for one zone, before anything is made."""
    from zonectl.store import records

    known = set(records.list_names(context.paths))
    problems = config.check_dependencies(
        {each.path: each.config for each in loaded}, known, texts={each.path: each.text for each in loaded}
    )
    if problems:
        raise ConfigError(problems)
    seen: dict[str, str] = {}
    for each in loaded:
        name = each.config.name
        if name in seen:
            raise UsageError(f"create: {seen[name]} and {each.path} both describe the zone {name}")
        seen[name] = each.path


def _text(loaded: Loaded, changes: list[str]) -> str:
    """What the zone keeps: its file as it was written, or, where it was changed, what it means."""
    if changes:
        return config.dumps(loaded.config)
    return config.absolute(loaded.text, os.path.dirname(loaded.path))
