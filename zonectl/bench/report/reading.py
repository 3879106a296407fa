"""Documents read into frozen dataclasses, by their annotations; what is wrong is told with where it stands."""

from __future__ import annotations

import dataclasses
import enum
import functools
import math
import types
import typing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zonectl.store.documents import Json


class WrongValue(Exception):
    """The value at `where` is not what is `expected` there."""

    def __init__(self, where: str, expected: str) -> None:
        super().__init__(f"{where or 'the document'} is not {expected}")


@functools.cache
def field_types(model: type) -> dict[str, object]:
    """The resolved types of a dataclass's fields, in their order."""
    hints = typing.get_type_hints(model)
    return {field.name: hints[field.name] for field in dataclasses.fields(model)}


def read(kind: object, value: Json, where: str) -> object:
    """`value` as the annotation `kind`: a dataclass, an enumeration of texts, a tuple, a table of texts or a scalar.

    Raises:
        WrongValue: it is not one.

    """
    match typing.get_origin(kind):
        case types.UnionType:
            return None if value is None else read(typing.get_args(kind)[0], value, where)
        case origin if origin is tuple:
            return _read_tuple(typing.get_args(kind)[0], value, where)
        case origin if origin is dict:
            return _read_texts(value, where)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return read_model(kind, value, where)
    if isinstance(kind, type) and issubclass(kind, enum.StrEnum):
        return _read_member(kind, value, where)
    return _read_scalar(kind, value, where)


def read_model(model: type, value: Json, where: str) -> object:
    """A dataclass from an object with a key for each field; those with a default may be missing.

    Raises:
        WrongValue: a key is missing, unknown or wrong.

    """
    if not isinstance(value, dict):
        raise WrongValue(where, "an object")
    kinds = field_types(model)
    prefix = f"{where}." if where else ""
    for key in value:
        if key not in kinds:
            raise WrongValue(f"{prefix}{key:.40}", "known")
    for key in required(model):
        if key not in value:
            raise WrongValue(f"{prefix}{key}", "there")
    made: object = model(**{key: read(kinds[key], item, f"{prefix}{key}") for key, item in value.items()})
    return made


def required(model: type) -> list[str]:
    """The names of a dataclass's fields without a default."""
    return [
        field.name
        for field in dataclasses.fields(model)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]


def _read_tuple(item: object, value: Json, where: str) -> tuple[object, ...]:
    if not isinstance(value, list):
        raise WrongValue(where, "a list")
    return tuple(read(item, each, f"{where}[{at}]") for at, each in enumerate(value))


def _read_texts(value: Json, where: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise WrongValue(where, "an object")
    texts = {key: item for key, item in value.items() if isinstance(item, str)}
    for key in value:
        if key not in texts:
            raise WrongValue(f"{where}.{key:.40}", "a string")
    return texts


def _read_member(kind: type[enum.StrEnum], value: Json, where: str) -> enum.StrEnum:
    if value not in list(kind):
        raise WrongValue(where, f"one of {', '.join(kind)}")
    return kind(value)


def _read_scalar(kind: object, value: Json, where: str) -> object:
    match kind:
        case _ if kind is str and isinstance(value, str):
            return value
        case _ if kind is bool and isinstance(value, bool):
            return value
        case _ if kind is int and type(value) is int:
            return value
        case _ if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
            return _finite(value, where)
    raise WrongValue(where, _NAMES[kind])


def _finite(value: float, where: str) -> float:
    # JSON's numbers have no bounds: 1e999 is read as infinity, and 10**400 as a whole number that no float holds.
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise WrongValue(where, _NAMES[float])
    return number


_NAMES: dict[object, str] = {str: "a string", bool: "true or false", int: "a whole number", float: "a number"}
