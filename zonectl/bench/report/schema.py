"""The description of a run's document as JSON Schema, from the dataclasses and the comments beside their fields."""

from __future__ import annotations

import ast
import dataclasses
import enum
import inspect
import io
import json
import tokenize
import types
import typing
from typing import TypeAlias

from zonectl.bench.report.document import WRITER
from zonectl.bench.report.reading import field_types, required
from zonectl.bench.results import SCHEMA_VERSION, DensityPoint, Run, Series

Schema: TypeAlias = dict[str, object]

_SCALARS: dict[object, Schema] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
}
# What `document` asks for beyond types.
_BOUNDS: dict[tuple[type, str], Schema] = {
    (Series, "loops"): {"minimum": 1},
    (Series, "rounds"): {
        "items": {"type": "array", "minItems": 1, "items": {"type": "number", "exclusiveMinimum": 0}}
    },
    (DensityPoint, "zones"): {"minimum": 0},
}


def json_schema() -> Schema:
    """The schema (draft 2020-12)."""
    definitions: dict[str, Schema] = {}
    whole = _model(Run, definitions)
    properties = typing.cast("dict[str, Schema]", whole["properties"])
    properties["schema_version"] |= {"minimum": 1, "maximum": SCHEMA_VERSION}
    properties[WRITER] = {"type": "string", "description": "the version of zonectl that wrote the document"}
    whole["required"] = ["schema_version", *required(Run)]
    head: Schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A run of zonectl bench",
    }
    return head | whole | {"$defs": definitions}


def schema_text() -> str:
    """The schema as text of JSON."""
    return json.dumps(json_schema(), indent=2) + "\n"


def _model(model: type, definitions: dict[str, Schema]) -> Schema:
    comments = field_comments(model)
    summary = (inspect.getdoc(model) or "").partition("\n")[0]
    properties: dict[str, Schema] = {}
    for key, kind in field_types(model).items():
        said: Schema = {"description": comments[key]} if key in comments else {}
        properties[key] = said | _kind(kind, definitions) | _BOUNDS.get((model, key), {})
    return {
        "description": summary,
        "type": "object",
        "additionalProperties": False,
        "required": required(model),
        "properties": properties,
    }


def _kind(kind: object, definitions: dict[str, Schema]) -> Schema:
    match typing.get_origin(kind):
        case types.UnionType:
            return {"anyOf": [_kind(typing.get_args(kind)[0], definitions), {"type": "null"}]}
        case origin if origin is tuple:
            return {"type": "array", "items": _kind(typing.get_args(kind)[0], definitions)}
        case origin if origin is dict:
            return {"type": "object", "additionalProperties": {"type": "string"}}
    if isinstance(kind, type) and issubclass(kind, enum.StrEnum):
        return {"enum": [member.value for member in kind]}
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        definitions.setdefault(kind.__name__, {})
        definitions[kind.__name__] = _model(kind, definitions)
        return {"$ref": f"#/$defs/{kind.__name__}"}
    return _SCALARS[kind]


def field_comments(model: type) -> dict[str, str]:
    """The comment at the end of each field that has one."""
    source = inspect.getsource(model)
    by_line = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    body = typing.cast("ast.ClassDef", ast.parse(source).body[0]).body
    return {
        field.target.id: by_line[field.end_lineno]
        for field in body
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and field.end_lineno in by_line
    }
