"""Where the keys of a zone file stand: tomllib reads TOML and tells no lines, so this finds them afterwards.

It walks a document that tomllib has *accepted*, and therefore needs to know where things end, not whether they are
right. It runs only when there is something to report.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

Path: TypeAlias = tuple[str | int, ...]
"""The way to a value: keys of tables, and indices (from 0) of arrays."""

_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:\\.|(?!""").)*"{3,5}'  # up to two quotes may stand before the closing three (TOML 1.0, String)
    r"|'''(?:(?!''').)*'{3,5}"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'",
    re.DOTALL,
)
_OTHER_VALUE = re.compile(r"[^,\]}#\r\n]+")


def locate(text: str) -> Mapping[Path, int]:
    """The line, from 1, of every key and array element of an accepted document.

    A table that is only mentioned on the way to others (`[a.b]` mentions `a`) stands where it is first mentioned.
    """
    return _Scanner(text).document()


def key_text(path: Path) -> str:
    """A path as problems show it: `resources.io[0].device`, with keys quoted and escaped that are not bare."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{_quoted(part)}" for part in path)
    return "".join(parts).removeprefix(".")


def _quoted(key: str) -> str:
    if _BARE_KEY.fullmatch(key):
        return key
    return '"' + repr(key)[1:-1].replace('"', '\\"') + '"'


class _Scanner:
    """One pass over one document; `_at` is how far it has come."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._newlines = [found.start() for found in re.finditer("\n", text)]
        self._lines: dict[Path, int] = {}
        self._last: dict[Path, int] = {}

    def document(self) -> Mapping[Path, int]:
        """Walk headers and pairs until the end."""
        table: Path = ()
        while self._skip() < len(self._text):
            if self._text.startswith("[", self._at):
                table = self._header()
            else:
                self._pair(table)
        return self._lines

    def _header(self) -> Path:
        brackets = 2 if self._text.startswith("[[", self._at) else 1
        line = self._line()
        self._at += brackets
        path = self._descend(self._key(), line, array=brackets == 2)  # noqa: PLR2004 - [[ opens an array's table
        self._skip()
        self._at += brackets
        return path

    def _descend(self, keys: tuple[str, ...], line: int, *, array: bool) -> Path:
        """The table that a header opens: below the latest element of every array of tables on the way."""
        path: Path = ()
        for key in keys[:-1]:
            path = self._latest((*path, key))
            self._lines.setdefault(path, line)
        path = (*path, keys[-1])
        self._lines.setdefault(path, line)
        if array:
            self._last[path] = self._last.get(path, -1) + 1
        path = self._latest(path)
        self._lines.setdefault(path, line)
        return path

    def _latest(self, path: Path) -> Path:
        return (*path, self._last[path]) if path in self._last else path

    def _pair(self, table: Path) -> None:
        line = self._line()
        path = table
        for key in self._key():
            path = (*path, key)
            self._lines.setdefault(path, line)
        self._skip()
        self._at += len("=")
        self._value(path)

    def _key(self) -> tuple[str, ...]:
        keys: list[str] = []
        while True:
            self._skip()
            keys.append(self._simple_key())
            self._skip()
            if not self._text.startswith(".", self._at):
                return tuple(keys)
            self._at += len(".")

    def _simple_key(self) -> str:
        if bare := _BARE_KEY.match(self._text, self._at):
            self._at = bare.end()
            return bare[0]
        return next(iter(tomllib.loads(f"{self._take(_STRING)} = 0")))

    def _value(self, path: Path) -> None:
        self._skip()
        match self._text[self._at]:
            case "[":
                self._array(path)
            case "{":
                self._inline_table(path)
            case '"' | "'":
                self._take(_STRING)
            case _:
                self._take(_OTHER_VALUE)

    def _array(self, path: Path) -> None:
        self._at += len("[")
        index = 0
        while not self._closed("]"):
            element = (*path, index)
            self._lines[element] = self._line()
            self._value(element)
            index += 1

    def _inline_table(self, path: Path) -> None:
        self._at += len("{")
        while not self._closed("}"):
            self._pair(path)

    def _closed(self, bracket: str) -> bool:
        """Go to the next element, past a comma, or past the closing bracket."""
        self._skip()
        if self._text.startswith(",", self._at):
            self._at += len(",")
            self._skip()
        closed = self._text.startswith(bracket, self._at)
        self._at += closed
        return closed

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        if not found:  # tomllib would have refused the document
            raise ValueError(f"lost at line {self._line()}")
        self._at = found.end()
        return found[0]

    def _skip(self) -> int:
        space = _SPACE.match(self._text, self._at)
        self._at = space.end() if space else self._at
        return self._at

    def _line(self) -> int:
        return bisect_right(self._newlines, self._at) + 1
