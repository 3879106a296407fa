"""The description of a zone file as JSON Schema, for editors and other programs."""

from __future__ import annotations

import tomllib
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING

from zonectl.config.fields import ZONE
from zonectl.config.tables import Field, Kind, ListOf, MapOf, Table, Tables
from zonectl.config.writing import value_text

if TYPE_CHECKING:
    from zonectl.config.kinds import Schema


def json_schema() -> Schema:
    """The schema, in the draft that most TOML editors read (7)."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A zone of zonectl",
        **_kind(ZONE),
    }


def schema_text() -> str:
    """The schema as text of JSON."""
    import json  # noqa: PLC0415 - 6 ms, which only `zonectl schema` pays

    return json.dumps(json_schema(), indent=2, ensure_ascii=True) + "\n"


def default_text(table: Table, field: Field) -> str:
    """The default of a field as TOML text; empty where there is none to write."""
    default = next(each.default for each in fields(table.model) if each.name == field.attribute)
    if default is MISSING or default in {None, ""} or (default == () and not isinstance(field.kind, ListOf)):
        return ""
    return value_text(field.kind, default)


def _kind(kind: Kind) -> Schema:
    match kind:
        case Table():
            return _table(kind)
        case Tables(item):
            return {"type": "array", "items": _table(item)}
        case ListOf():
            return _list(kind)
        case MapOf():
            return {
                "type": "object",
                "propertyNames": kind.key.schema(),
                "additionalProperties": kind.value.schema(),
            }
    return kind.schema()


def _list(kind: ListOf) -> Schema:
    bounds: Schema = {"minItems": kind.least} if kind.least else {}
    bounds |= {"maxItems": kind.most} if kind.most is not None else {}
    bounds |= {"uniqueItems": True} if kind.unique else {}
    return {"type": "array", "items": kind.item.schema(), **bounds}


def _table(table: Table) -> Schema:
    required = [field.key for field in table.fields if field.required]
    constraints: Schema = {}
    for constraint in table.constraints:
        constraints |= constraint.schema()
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {field.key: _field(table, field) for field in table.fields},
        **({"required": required} if required else {}),
        **constraints,
    }


def _field(table: Table, field: Field) -> Schema:

    schema = {"description": field.text.replace("`", ""), **_kind(field.kind)}
    for keyword, text in (("default", default_text(table, field)), ("example", field.example)):
        if text:
            value: object = tomllib.loads(f"value = {text}")["value"]
            schema |= {"examples": [value]} if keyword == "example" else {keyword: value}
    return schema
