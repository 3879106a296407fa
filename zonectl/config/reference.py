"""The reference of all keys as Markdown, for the manual."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.config.fields import ZONE
from zonectl.config.kinds import Text
from zonectl.config.rules import RULES
from zonectl.config.schema import default_text
from zonectl.config.tables import Field, Kind, ListOf, MapOf, Table, Tables

if TYPE_CHECKING:
    from collections.abc import Iterator

BEGIN = (
    "<!-- reference: begin. Made from zonectl/config by tools/generate.py: edit the descriptions there. -->"
)
END = "<!-- reference: end -->"

_HEAD = "| Key | Value | Default | Meaning | Example |\n|---|---|---|---|---|"


def reference_text() -> str:
    """A table of keys for each table of a zone file, and the rules between keys."""
    rules = (f"- {(rule.__doc__ or '').splitlines()[0]}" for rule in RULES)
    return "\n".join([*_section(ZONE, ""), "## What must fit together", "", *rules])


def _section(table: Table, path: str, title: str = "## The top of the file") -> Iterator[str]:
    yield from (title, "", _HEAD)
    inner: list[tuple[Field, Table]] = []
    for field in table.fields:
        match field.kind:
            case Table() as kind:
                inner.append((field, kind))
            case Tables(item):
                inner.append((field, item))
            case _:
                yield _row(table, field)
    yield ""
    for field, kind in inner:
        name = f"{path}.{field.key}" if path else field.key
        header = f"[[{name}]]" if isinstance(field.kind, Tables) else f"[{name}]"
        first, *others = _section(kind, name, f"## `{header}`")
        yield from (first, "", field.text, *others)


def _row(table: Table, field: Field) -> str:
    default = default_text(table, field)
    shown = f"`{default}`" if default else field.absent
    if field.required:
        shown = "required"
    cells = (f"`{field.key}`", _value(field.kind), shown, field.text, f"`{field.example}`")
    return f"| {' | '.join(cells)} |"


def _value(kind: Kind) -> str:
    match kind:
        case ListOf(item):
            return f"array, each {_value(item)}"
        case MapOf(key, item):
            return f"table; each key {_value(key)}; each value {_value(item)}"
        case Text(label, _, rule) if rule:
            return f"{label} ({rule})"
        case Table() | Tables():
            return "a table"
    return kind.label
