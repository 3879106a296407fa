"""Files that people write: their text, and the TOML in it, or what is wrong with them and where."""

from __future__ import annotations

import errno
import os
import re
import stat
import tomllib
from typing import TYPE_CHECKING

from zonectl.errors import ConfigError
from zonectl.model.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zonectl.config.locator import Path

MOST_BYTES = 1024 * 1024
"""No file is larger: what is larger is something else."""

MOST_PARTS = 16
"""How many parts a dotted key may have: tomllib takes memory by the square of it, 40 GB for 200 KB of `a.a.a…`."""

_PART = r"""(?:[A-Za-z0-9_-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')"""
_TOKENS = re.compile(
    rf"(?P<long>{_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{{MOST_PARTS},}}+)"
    r"""|\"{3}(?s:.)*?\"{3}|'{3}(?s:.)*?'{3}"""  # strings of several lines
    rf"|{_PART}|[\"'\#][^\n]*+|[^\"'\#A-Za-z0-9_-]++"  # a string that does not end on its line is none
)
"""Text in pieces, so that what looks like a key in a string or a comment is none. Each is taken once, and kept."""

_PLACE = re.compile(r" \((?:at line (\d+), column (\d+)|at end of document)\)\Z")
_PLAIN = {
    "Cannot overwrite a value": "the key stands there twice",
    "Illegal character '\\n'": "the string does not end on its line",
    "Expected '=' after a key in a key/value pair": "expected = after the key",
}


def toml_document(text: str, file: str) -> dict[str, object]:
    """The document that the text of `file` is.

    Raises:
        ConfigError: it is not TOML.

    """
    try:
        _refuse_long_keys(text)
        return tomllib.loads(text)
    except RecursionError:
        problem = Problem(file=file, line=None, key="", message="arrays or tables are nested too deeply")
    except ValueError as error:
        problem = _syntax(str(error), text, file)
    raise ConfigError([problem])


def _refuse_long_keys(text: str) -> None:
    for piece in _TOKENS.finditer(text):
        if piece["long"]:
            line = text.count("\n", 0, piece.start()) + 1
            raise ValueError(f"A key has more than {MOST_PARTS} parts (at line {line}, column 1)")


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


def file_text(path: str) -> str:
    """The text of a file or of an anonymous pipe, which a shell makes of <(...).

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


def nearest_line(lines: Mapping[Path, int], path: Path) -> int | None:
    """The line of a path, or of the nearest table that it would be in."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None
