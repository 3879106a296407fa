"""Read zone files: TOML text to a ZoneConfig, or every problem at once."""

from __future__ import annotations

import errno
import os
import re
import stat
import tomllib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from zonectl.config.fields import ZONE
from zonectl.config.locator import Path, key_text, locate
from zonectl.config.overrides import override
from zonectl.config.rules import Draft, judge, mode_of
from zonectl.config.walker import Finding, Walker
from zonectl.errors import ConfigError
from zonectl.model.config import NetworkMode, ZoneConfig
from zonectl.model.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MOST_BYTES = 1024 * 1024
"""A zone file is not larger: what is larger is something else."""

OVERRIDE_FILE = "--set"
"""What stands in a problem's `file` when an override is wrong."""

_PLACE = re.compile(r" \((?:at line (\d+), column (\d+)|at end of document)\)\Z")
_PLAIN = {
    "Cannot overwrite a value": "the key stands there twice",
    "Illegal character '\\n'": "the string does not end on its line",
    "Expected '=' after a key in a key/value pair": "expected = after the key",
}


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
    text = _text(path)
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
    document = _document(text, file)
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
            line=None if changed else _line(lines, found.path),
            key=key_text(found.path),
            message=found.message,
            suggestion=found.suggestion,
        )


def _brought(change: Path, path: Path, lines: Mapping[Path, int]) -> bool:
    """Whether an override made what is at `path`: itself, or a table on the way that the file does not have."""
    return path[: len(change)] == change or (path == change[: len(path)] and path not in lines)


def _line(lines: Mapping[Path, int], path: Path) -> int | None:
    """The line of a path, or of the nearest table that it would be in."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None


def _document(text: str, file: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        problem = Problem(file=file, line=None, key="", message="arrays or tables are nested too deeply")
    except ValueError as error:
        problem = _syntax(str(error), text, file)
    raise ConfigError([problem])


def _syntax(words: str, text: str, file: str) -> Problem:
    """A problem from tomllib's words, which end with the place."""
    place = _PLACE.search(words)
    reason = words[: place.start()] if place else words
    column = f", at column {place[2]}" if place and place[2] else ""
    if place and not place[1]:
        column = ", at the end of the file"
    line = int(place[1]) if place and place[1] else text.rstrip("\n").count("\n") + 1
    message = f"not TOML: {_PLAIN.get(reason, reason[:1].lower() + reason[1:])}{column}"
    return Problem(file=file, line=line if place else None, key="", message=message)


def _text(path: str) -> str:
    """The text of a file.

    Raises:
        ConfigError: it cannot be read, is too large, or is not UTF-8.

    """
    line = None
    try:
        with open(path, "rb", opener=_open) as stream:
            content = stream.read(MOST_BYTES + 1)
        if len(content) <= MOST_BYTES:
            return content.decode()
        message = f"larger than {MOST_BYTES} bytes"
    except OSError as error:
        message = error.strerror or str(error)
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        message = f"not UTF-8: byte 0x{error.object[error.start]:02x}"
    raise ConfigError([Problem(file=path, line=line, key="", message=message)])


def _open(path: str, flags: int) -> int:
    """Open a file or an anonymous pipe; a FIFO on disk would have us wait for whoever writes to it, if anybody does.

    Raises:
        OSError: it cannot be opened, or is of another kind.

    """
    fd = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode) or _is_anonymous(fd, mode):
        os.set_blocking(fd, True)
        return fd
    os.close(fd)
    raise OSError(errno.EINVAL, "not a file")


def _is_anonymous(fd: int, mode: int) -> bool:
    return stat.S_ISFIFO(mode) and os.readlink(f"/proc/self/fd/{fd}").startswith("pipe:")


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
