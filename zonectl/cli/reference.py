"""The page of the manual that explains every verb, made from the parsers themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.cli import catalog, parsing

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD = """\
# Commands

This page is what `zonectl --help` and `zonectl VERB --help` print; `tools/generate.py` writes it.
"""
_TAIL = """\
## How to read the rest

- Where a FILE or an IMAGE may stand, what has a `/` or ends in `.toml` is a file.
- An error is one line: what, on which zone, why. A second line says what to do. Problems of a zone file are a line
  each, as `FILE:LINE: KEY: what is wrong`. `zonectl --debug VERB ...` adds the traceback.
- Several zones are worked on at once, four at a time, in the order of their dependencies. One failure does not stop the
  others; the exit status is the highest of all.
- `delete`, `stop --all` and `image remove` ask on a terminal, and refuse (status 2) without one unless `-f` is given.
- `run`, `exec` and `shell` give the program's own status. Whatever fails of zonectl's own is 125 there, a wrong command
  line included.
- `wait` gives the status of the zone. A zone that never ran is status 3; a timeout is status 1.
- On a terminal, states have colours unless NO_COLOR is set, and control characters in names and logs are shown as
  `\\xNN` or `\\u{NNNN}`.
"""


def page() -> str:
    """The page, its help texts as wide as COLUMNS says."""
    return "\n".join((_HEAD, _fenced(parsing.overview()), *_verbs(), _TAIL))


def section(name: str) -> str:
    """What the page says of a verb."""
    return f"## zonectl {name}\n\n" + "\n".join(_fenced(text) for text in _texts(parsing.parser_of(name)))


def _verbs() -> Iterator[str]:
    return (section(name) for name in catalog.VERBS)


def _texts(parser: parsing.Parser) -> Iterator[str]:
    yield parser.format_help()
    for inner in parser.inner().values():
        yield inner.format_help()


def _fenced(text: str) -> str:
    return f"```text\n{text.rstrip()}\n```\n"
