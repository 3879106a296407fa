"""Read zone files: TOML text to a ZoneConfig, or every problem at once."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from zonectl.config.fields import ZONE
from zonectl.config.files import file_text, nearest_line, toml_document
from zonectl.config.locator import Path, key_text, locate
from zonectl.config.network_rules import mode_of
from zonectl.config.overrides import override
from zonectl.config.rules import Draft, judge
from zonectl.config.walker import Finding, Walker
from zonectl.errors import ConfigError
from zonectl.model.config import NetworkMode, ZoneConfig
from zonectl.model.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_REMEMBERED = 16
"""Zone files whose configuration is kept; one is some 10 KiB."""

OVERRIDE_FILE = "--set"
"""What stands in a problem's `file` when an override is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A zone file that was read: its configuration, its text, and its absolute path."""

    config: ZoneConfig
    text: str
    path: str


def load(path: str, overrides: Sequence[str] = ()) -> Loaded:
    """Read the zone file at `path`, which may also be a pipe.

    Raises:
        ConfigError: it cannot be read, or has problems; `path` is the file that they name.

    """
    whole = os.path.abspath(path)
    text = file_text(path)
    config = parse(text, file=path, folder=os.path.dirname(whole), overrides=overrides)
    return Loaded(config=config, text=text, path=whole)


def load_directory(path: str) -> list[Loaded]:
    """Read every `*.toml` of a folder, in the order of their names.

    Raises:
        ConfigError: the folder cannot be read, files have problems (those of all files), or share a zone's name.

    """
    loaded: list[Loaded] = []
    problems: list[Problem] = []
    for name in _zone_files(path):
        try:
            loaded.append(load(os.path.join(path, name)))
        except ConfigError as error:
            problems.extend(error.problems)
    problems.extend(_shared_names(loaded))
    if problems:
        raise ConfigError(problems)
    return loaded


def parse(text: str, *, file: str, folder: str, overrides: Sequence[str] = ()) -> ZoneConfig:
    """The configuration that the text of a zone file describes.

    `file` is what problems name; relative paths are resolved against the absolute `folder`; each of `overrides` is
    `key.path=value`, its value TOML or a bare string.

    Raises:
        ConfigError: with every problem, in the order of the file.

    """
    return _parsed(text, file=file, folder=folder, overrides=tuple(overrides))


@lru_cache(maxsize=_REMEMBERED)
def _parsed(text: str, *, file: str, folder: str, overrides: Sequence[str]) -> ZoneConfig:
    # It depends on nothing else, and a worker that serves again reads the same files again.
    document = toml_document(text, file)
    changes, problems = _override(document, overrides)
    draft, findings = _draft(document, folder)
    problems += _located(findings, text, file, changes=changes)
    if problems:
        raise ConfigError(sorted(problems, key=lambda problem: problem.line or 0))
    return _settled(draft)


def _override(document: dict[str, object], overrides: Sequence[str]) -> tuple[list[Path], list[Problem]]:
    """Make the changes of `--set`: which paths they changed, and what is wrong with them."""
    changes: list[Path] = []
    problems: list[Problem] = []
    for text in overrides:
        try:
            changes.append(override(document, text, ZONE))
        except ValueError as error:
            key = text.partition("=")[0] if "=" in text else ""
            problems.append(Problem(file=OVERRIDE_FILE, line=None, key=key, message=str(error)))
    return changes, problems


def _draft(document: dict[str, object], folder: str) -> tuple[Draft, list[Finding]]:
    """The document as it was read, and everything that is wrong with it."""
    walker = Walker(ZONE, folder)
    draft = Draft(cast("ZoneConfig", walker.document(document)), document)
    wrong = {finding.path for finding in walker.findings}
    sound = (finding for finding in judge(draft) if not _depends(finding, wrong))
    return draft, [*walker.findings, *sound]


def _depends(finding: Finding, wrong: set[Path]) -> bool:
    """Whether a rule has judged a value that is wrong by itself, so that a default stood in for it."""
    return any(
        path[:length] in wrong
        for path in (finding.path, *finding.about)
        for length in range(1, len(path) + 1)
    )


def _settled(draft: Draft) -> ZoneConfig:
    """The configuration with what its keys imply."""
    config = draft.config
    mode = mode_of(draft)
    own_name = (
        config.name.rstrip("-") if config.namespaces.uts else ""
    )  # a label has no - at its end (RFC 1123)
    return replace(
        config,
        hostname=config.hostname or own_name,
        network=replace(config.network, mode=mode),
        namespaces=replace(config.namespaces, net=mode is not NetworkMode.HOST),
    )


def _located(
    findings: Sequence[Finding], text: str, file: str, *, changes: Sequence[Path]
) -> Iterator[Problem]:
    """Findings as problems, each with its line, or with `--set` if an override brought it."""
    lines = locate(text) if findings else {}
    for found in findings:
        changed = any(_brought(change, found.path, lines) for change in changes)
        yield Problem(
            file=OVERRIDE_FILE if changed else file,
            line=None if changed else nearest_line(lines, found.path),
            key=key_text(found.path),
            message=found.message,
            suggestion=found.suggestion,
        )


def _brought(change: Path, path: Path, lines: Mapping[Path, int]) -> bool:
    """Whether an override made what is at `path`: itself, or a table on the way that the file does not have."""
    return path[: len(change)] == change or (path == change[: len(path)] and path not in lines)


def _zone_files(path: str) -> list[str]:
    try:
        names = os.listdir(path)
    except OSError as error:
        message = os.strerror(error.errno or 0)
        raise ConfigError([Problem(file=path, line=None, key="", message=message)]) from error
    return sorted(name for name in names if name.endswith(".toml") and not name.startswith("."))


def _shared_names(loaded: Sequence[Loaded]) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for each in loaded:
        name = each.config.name
        if name in first:
            message = f"{name} is the zone of {first[name]} already"
            yield Problem(file=each.path, line=locate(each.text)["name",], key="name", message=message)
        first.setdefault(name, each.path)
