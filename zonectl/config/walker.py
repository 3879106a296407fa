"""Read a document by its description: typed values where it is right, findings where it is wrong, all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from zonectl.config.kinds import Scalar, shown, toml_type
from zonectl.config.nearest import nearest
from zonectl.config.paths import HostPath, absolute
from zonectl.config.tables import Kind, ListOf, MapOf, Table, Tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zonectl.config.locator import Path


class Finding(NamedTuple):
    """One thing that is wrong at `path`; `about` are other paths without which it cannot be judged."""

    path: Path
    message: str
    suggestion: str | None = None
    about: tuple[Path, ...] = ()


class Walker:
    """Reads one document of a zone file that lies in `folder`; `findings` collects what is wrong.

    Each reading method gives a list of one value, or an empty one where the value is wrong.
    """

    def __init__(self, root: Table, folder: str) -> None:
        self._root = root
        self._folder = folder
        self.findings: list[Finding] = []

    def document(self, values: dict[str, object]) -> object:
        """The model's object; where there are findings, with defaults in the places that are wrong."""
        return self._table(self._root, values, ())[0]

    def _read(self, kind: Kind, value: object, path: Path) -> list[object]:
        match kind:
            case Table():
                return self._table(kind, value, path)
            case Tables(item):
                return self._items(item, value, path)
            case ListOf():
                return self._list(kind, value, path)
            case MapOf():
                return self._map(kind, value, path)
        return self._scalar(kind, value, path)

    def _scalar(self, kind: Scalar, value: object, path: Path) -> list[object]:
        try:
            typed = kind.read(value)
        except ValueError as error:
            self._refuse(path, str(error), getattr(error, "suggestion", None))
            return []
        if isinstance(kind, HostPath) and isinstance(typed, str) and kind.is_path(typed):
            return [absolute(typed, self._folder)]
        return [typed]

    def _items(self, item: Kind, value: object, path: Path) -> list[object]:
        if not isinstance(value, list):
            header = f", written [[{path[-1]}]]" if isinstance(item, Table) else ""
            self._refuse(path, f"must be an array{header}, not {toml_type(value)}")
            return []
        elements = enumerate(cast("list[object]", value))
        return [tuple(typed for i, element in elements for typed in self._read(item, element, (*path, i)))]

    def _list(self, kind: ListOf, value: object, path: Path) -> list[object]:
        typed = self._items(kind.item, value, path)
        if not isinstance(value, list):
            return typed
        if len(value) < kind.least:
            self._refuse(path, "must not be empty")
        if kind.most is not None and len(value) > kind.most:
            self._refuse(path, f"must have at most {kind.most} elements, not {len(value)}")
        for index, element in enumerate(value):
            if kind.unique and element in value[:index]:
                self._refuse((*path, index), f"stands there twice: {shown(str(element))}")
        return typed

    def _map(self, kind: MapOf, value: object, path: Path) -> list[object]:
        if not isinstance(value, dict):
            self._refuse(path, f"must be a table, not {toml_type(value)}")
            return []
        pairs: list[object] = []
        for key, element in cast("dict[str, object]", value).items():
            keys = self._scalar(kind.key, key, (*path, key))
            values = self._scalar(kind.value, element, (*path, key))
            pairs.extend(zip(keys, values, strict=False))
        return [tuple(pairs)]

    def _table(self, table: Table, value: object, path: Path) -> list[object]:
        if not isinstance(value, dict):
            self._refuse(path, f"must be a table, not {toml_type(value)}")
            return []
        given = cast("dict[str, object]", value)
        read: dict[str, object] = {}
        for key, element in given.items():
            if field := table.field(key):
                read.update(
                    (field.attribute, typed) for typed in self._read(field.kind, element, (*path, key))
                )
        meant = {self._unknown(table, key, path) for key in given if not table.field(key)}
        for key, message in _wants(table, given):
            if key in meant or (not key and meant):
                continue
            self._refuse((*path, key) if key else path, message)
        return [table.model(**(_blanks(table) | read))]

    def _unknown(self, table: Table, key: str, path: Path) -> str | None:
        """Refuse an unknown key; gives the key that was meant, so that it need not be missed as well."""
        close = nearest(key, (field.key for field in table.fields))
        self._refuse((*path, key), "unknown key", close or _elsewhere(self._root, key))
        return close

    def _refuse(self, path: Path, message: str, suggestion: str | None = None) -> None:
        self.findings.append(Finding(path, message, suggestion))


def _wants(table: Table, given: dict[str, object]) -> Iterator[tuple[str, str]]:
    """What a table lacks, and what its keys demand of each other: the key ("" for the table) and the message."""
    for field in table.fields:
        if field.required and field.key not in given:
            yield field.key, f"is missing: {field.text[0].lower()}{field.text[1:].rstrip('.')}"
    for constraint in table.constraints:
        yield from constraint.findings(given)


def _blanks(table: Table) -> dict[str, object]:
    """What stands in for required values that are missing or wrong, so that the other rules can be judged."""
    return {
        field.attribute: "" for field in table.fields if field.required and not isinstance(field.kind, Table)
    }


def _elsewhere(root: Table, key: str) -> str | None:
    """Where a key belongs that was written into another table."""
    if root.field(key):
        return f"{key}, above the first table"
    for field in root.fields:
        match field.kind:
            case Table() as table if table.field(key):
                return f"{field.key}.{key}"
            case Tables(item) if item.field(key):
                return f"[[{field.key}]] {key}"
    return None
