"""Change the text of a zone file and keep its comments, its order and its layout."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, MutableSequence
from typing import TYPE_CHECKING

from zonectl.config.fields import ZONE
from zonectl.config.kinds import Refused, shown, toml_type
from zonectl.config.overrides import key_path, value_of
from zonectl.config.paths import HostPath
from zonectl.config.paths import absolute as absolute_path
from zonectl.config.tables import Table, Tables

if TYPE_CHECKING:
    from zonectl.config.locator import Path


def edit(text: str, key: str, value: object) -> str:
    """`text` with the key `key` (as `resources.memory` or `mount[0].target`) set to `value`.

    A string is read as `--set` reads it: TOML, or else itself. None takes the key out. Whether the result is a good
    zone file is for `parse` to say.

    Raises:
        ValueError: `text` is not TOML, or the key is none or leads through something that is not a table.

    """
    import tomlkit  # noqa: PLC0415 - 19 ms, which only the verbs that edit pay

    path = key_path(key)
    document = tomlkit.parse(text)
    parent = _parent(document, path)
    if value is None:
        _take_out(parent, path[-1])
    else:
        _put(parent, path[-1], value_of(value, path, ZONE) if isinstance(value, str) else value)
    return tomlkit.dumps(document)


def absolute(text: str, folder: str) -> str:
    """`text` with every relative path of the host made absolute, against the absolute `folder`.

    Raises:
        ValueError: `text` is not TOML.

    """
    import tomlkit  # noqa: PLC0415 - 19 ms, which only the verbs that edit pay

    document = tomlkit.parse(text)
    changes = [
        (table, key, path, whole)
        for table, key, path in _host_paths(ZONE, document)
        if (whole := absolute_path(path, folder)) != path
    ]
    for table, key, _, whole in changes:
        table[key] = whole
    return tomlkit.dumps(document) if changes else text


def _host_paths(table: Table, values: object) -> Iterator[tuple[MutableMapping[str, object], str, str]]:
    """Every path of the host in a table: the table that it is in, its key, and the path."""
    if not isinstance(values, MutableMapping):
        return
    for field in table.fields:
        value = values.get(field.key)
        match field.kind:
            case HostPath() as kind if isinstance(value, str) and kind.is_path(value):
                yield values, field.key, str(value)
            case Table() as inner:
                yield from _host_paths(inner, value)
            case Tables(item) if isinstance(value, MutableSequence):
                for element in value:
                    yield from _host_paths(item, element)


def _parent(document: object, path: Path) -> object:
    """The container of the last key of a path; tables on the way that are missing are made."""
    import tomlkit  # noqa: PLC0415 - see edit

    here = document
    for part in path[:-1]:
        if isinstance(here, MutableMapping) and part not in here:
            here[part] = tomlkit.table()
        here = _element(here, part)
    return here


def _element(container: object, part: str | int) -> object:
    match container, part:
        case Mapping(), str() if part in container:
            found: object = container[part]
            return found
        case MutableSequence(), int() if part < len(container):
            element: object = container[part]
            return element
    raise Refused(f"{shown(str(part))} is not in {toml_type(container)}")


def _put(container: object, part: str | int, value: object) -> None:
    match container, part:
        case MutableMapping(), str():
            container[part] = value
        case MutableSequence(), int() if part < len(container):
            container[part] = value
        case _:
            raise Refused(f"{shown(str(part))} cannot be in {toml_type(container)}")


def _take_out(container: object, part: str | int) -> None:
    _element(container, part)
    match container, part:
        case MutableMapping(), str():
            del container[part]
        case MutableSequence(), int():
            del container[part]
