"""Write a ZoneConfig as TOML: every value, defaults included, in one canonical form that `parse` reads back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from zonectl.config.fields import ZONE
from zonectl.config.kinds import Choice
from zonectl.config.process_fields import ResourceLimit
from zonectl.config.quantities import Duration, FileMode, Percent, Period, Size
from zonectl.config.tables import Field, Kind, ListOf, MapOf, Table, Tables
from zonectl.model.limits import Limit
from zonectl.model.units import format_duration, format_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zonectl.model.config import ZoneConfig

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPED = re.compile(r'[\x00-\x1f"\\\x7f]')
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def dumps(config: ZoneConfig) -> str:
    """The canonical TOML of a configuration; what is None or empty is left out."""
    return "\n".join(_table(ZONE, config, "")).lstrip("\n") + "\n"


def words_text(words: Sequence[str]) -> str:
    """The TOML text of an array of strings."""
    return f"[{', '.join(map(_quoted, words))}]"


def value_text(kind: Kind, value: object) -> str:
    """The TOML text of one typed value of a kind that is not a table of its own."""
    match kind, value:
        case ListOf(item), tuple():
            return f"[{', '.join(value_text(item, element) for element in value)}]"
        case MapOf(), tuple():
            pairs = cast("tuple[tuple[str, object], ...]", value)
            return (
                f"{{ {', '.join(f'{_key(key)} = {value_text(kind.value, item)}' for key, item in pairs)} }}"
            )
        case Choice(options), _:
            return _quoted(next(word for word, meaning in options if meaning == value))
        case _, bool():
            return str(value).lower()
    return _scalar_text(kind, value)


def _scalar_text(kind: Kind, value: object) -> str:
    match kind, value:
        case Size(), int():
            return _quoted(format_size(value))
        case Duration(), float():
            return _quoted(format_duration(value))
        case Period(), int():
            return _quoted(f"{value // 1000}.{value % 1000:03}".rstrip("0").rstrip(".") + "ms")
        case Percent(), float():
            return _quoted(f"{value:.3f}".rstrip("0").rstrip(".") + "%")
        case FileMode(), int():
            return _quoted(f"{value:04o}")
        case ResourceLimit(), Limit():
            value = kind.text(value)
    return repr(value) if isinstance(value, int | float) else _quoted(str(value))


def _table(table: Table, model: object, path: str) -> Iterator[str]:
    """The lines of a table: its own keys first, then the tables in it, each after a blank line and a header."""
    there = [(field, value) for field in table.fields if not _void(value := getattr(model, field.attribute))]
    for field, value in there:
        if not _has_header(field, path):
            yield f"{field.key} = {value_text(field.kind, value)}"
    for field, value in there:
        if _has_header(field, path):
            yield from _section(field, value, f"{path}.{field.key}" if path else field.key)


def _section(field: Field, value: object, path: str) -> Iterator[str]:
    match field.kind:
        case Table() as table:
            yield from ("", f"[{path}]", *_table(table, value, path))
        case Tables(item):
            for element in cast("Sequence[object]", value):
                yield from ("", f"[[{path}]]", *_table(item, element, path))
        case MapOf() as kind:
            yield from ("", f"[{path}]")
            for key, element in cast("Sequence[tuple[str, object]]", value):
                yield f"{_key(key)} = {value_text(kind.value, element)}"


def _void(value: object) -> bool:
    return value is None or value in {"", ()}


def _has_header(field: Field, path: str) -> bool:
    return isinstance(field.kind, Table | Tables) or (isinstance(field.kind, MapOf) and not path)


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _quoted(key)


def _quoted(text: str) -> str:
    """A basic string (TOML 1.0, String)."""
    return f'"{_ESCAPED.sub(_escape, text)}"'


def _escape(found: re.Match[str]) -> str:
    char = found[0]
    return _SHORT.get(char, f"\\u{ord(char):04X}")
