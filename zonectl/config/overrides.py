"""Changes to a document by `key.path=value`, as `--set` takes them: keys as problems show them, values as TOML."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, cast

from zonectl.config.kinds import Refused, shown, toml_type
from zonectl.config.tables import Kind, ListOf, MapOf, Table, Tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zonectl.config.locator import Path

_PART = re.compile(r"""([A-Za-z0-9_-]+|"(?:\\.|[^"\\])*"|'[^']*')((?:\[[0-9]{1,4}\])*)(\.|\Z)""")


def key_path(text: str) -> Path:
    """The path that a dotted key means: `resources.memory`, `mount[0].target`, `env."a.b"`.

    Raises:
        ValueError: not a key.

    """
    path: list[str | int] = []
    at = 0
    while at < len(text) or text.endswith("."):
        part = _PART.match(text, at)
        if not part:
            break
        path.append(next(iter(tomllib.loads(f"{part[1]} = 0"))))
        path.extend(int(index) for index in re.findall(r"[0-9]+", part[2]))
        at = part.end()
        if not part[3]:
            return tuple(path)
    raise Refused(f"{shown(text)} is not a key: write it as resources.memory or mount[0].target")


def value_of(text: str, path: Path, root: Table) -> object:
    """What the text of a value means at `path`: a TOML value, or else the text itself.

    Where only a string can stand, it is the text as well: `env.DEBUG=1` means "1".
    """
    try:
        document = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    value = document["value"]
    only_text = _takes_text_alone(kind_at(root, path))
    return text if len(document) > 1 or (only_text and not isinstance(value, str)) else value


def kind_at(root: Table, path: Path) -> Kind | None:
    """The kind that the description has for a path, if it has one."""
    kind: Kind | None = root
    for part in path:
        match kind, part:
            case Table(), str():
                field = kind.field(part)
                kind = field.kind if field else None
            case MapOf(), str():
                kind = kind.value
            case ((Tables() | ListOf()), int()):
                kind = kind.item
            case _:
                return None
    return kind


def _takes_text_alone(kind: Kind | None) -> bool:
    if kind is None or isinstance(kind, Table | Tables | ListOf | MapOf):
        return False
    return kind.schema().get("type") == "string"


def override(document: dict[str, object], text: str, root: Table) -> Path:
    """Make the change `key.path=value` in `document`; gives the path.

    Raises:
        ValueError: it is not of that form, or leads through something that is not a table.

    """
    key, equals, value = text.partition("=")
    if not equals:
        raise Refused(f"{shown(text)} is not KEY=VALUE")
    path = key_path(key.strip())
    *_, (parent, last) = _descend(document, path)
    new = value_of(value.strip(), path, root)
    match parent, last:
        case dict(), str():
            parent[last] = new
        case list(), int():
            parent[last] = new
    return path


def _descend(document: dict[str, object], path: Path) -> Iterator[tuple[object, str | int]]:
    """Every container on the way with the key into it; tables that are missing are made, elements are not."""
    here: object = document
    for part in path:
        match here, part:
            case dict(), str():
                yield here, part
                here = cast("dict[str, object]", here).setdefault(part, {})
            case list(), int() if part < len(here):
                yield here, part
                here = here[part]
            case list(), int():
                raise Refused(f"there is no element [{part}] among {len(here)}")
            case _:
                raise Refused(f"{shown(str(part))} cannot be in {toml_type(here)}")
