"""How a zone file is described: fields, tables, arrays, and the structural constraints between keys of one table.

One description serves the validator, the JSON Schema, the reference page and the writer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from zonectl.config.kinds import Scalar, Schema, alternatives

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class ListOf(NamedTuple):
    """An array of values of one kind. Read to a tuple."""

    item: Scalar
    least: int = 0
    most: int | None = None
    unique: bool = False


class MapOf(NamedTuple):
    """A table of free keys. Read to a tuple of pairs, in the order of the file."""

    key: Scalar
    value: Scalar


class Table(NamedTuple):
    """A table that becomes an object of the frozen dataclass `model`."""

    model: type
    fields: tuple[Field, ...]
    constraints: tuple[Constraint, ...] = ()

    def field(self, key: str) -> Field | None:
        """The field of that key."""
        return next((field for field in self.fields if field.key == key), None)


class Tables(NamedTuple):
    """An array of tables. Read to a tuple."""

    item: Table


Kind: TypeAlias = Scalar | ListOf | MapOf | Table | Tables


class Field(NamedTuple):
    """One key: its kind, what it means, an example as TOML text, and `absent`, what its absence means in words.

    `name` is the attribute of the model, where it is not the key. The default is the model's.
    """

    key: str
    kind: Kind
    text: str
    example: str = ""
    absent: str = ""
    name: str = ""
    required: bool = False

    @property
    def attribute(self) -> str:
        """The attribute of the model."""
        return self.name or self.key


class Constraint(Protocol):
    """What the keys of one table demand of each other, in a way that a schema can say."""

    def findings(self, table: Mapping[str, object]) -> Iterator[tuple[str, str]]:
        """The problems of a table: each the key it is about ("" for the table itself), and the message."""

    def schema(self) -> Schema:
        """The same as JSON Schema."""


class ExactlyOne(NamedTuple):
    """Exactly one of `keys` is there; one that is false counts as not there."""

    keys: tuple[str, ...]
    flags: tuple[str, ...] = ()

    def findings(self, table: Mapping[str, object]) -> Iterator[tuple[str, str]]:
        """None at all, or the second and all that follow."""
        there = [key for key in table if key in self.keys and not (key in self.flags and table[key] is False)]
        if not there:
            yield "", f"needs one of {alternatives(self.keys)}"
        for key in there[1:]:
            yield key, f"cannot stand beside {there[0]}: a zone has one of {alternatives(self.keys)}"

    def schema(self) -> Schema:
        """One of several required keys."""
        return {"oneOf": [self._branch(key) for key in self.keys]}

    def _branch(self, key: str) -> Schema:
        flag: Schema = {"properties": {key: {"const": True}}} if key in self.flags else {}
        return {"required": [key], **flag}


class AtLeastOne(NamedTuple):
    """At least one of `keys` is there."""

    keys: tuple[str, ...]

    def findings(self, table: Mapping[str, object]) -> Iterator[tuple[str, str]]:
        """None at all."""
        if not any(key in table for key in self.keys):
            yield "", f"needs one of {alternatives(self.keys)}"

    def schema(self) -> Schema:
        """Any of several required keys."""
        return {"anyOf": [{"required": [key]} for key in self.keys]}


class Variant(NamedTuple):
    """The table is of one form when `key` is `value`, and of the other otherwise (`other` is the word for that).

    The keys in `only` belong to the first form, those in `others` to the other, which `needs` some of them.
    """

    key: str
    value: str
    other: str
    only: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()

    def findings(self, table: Mapping[str, object]) -> Iterator[tuple[str, str]]:
        """Keys of the wrong form, and those that are missing."""
        first = table.get(self.key) == self.value
        form, alien = (self.value, self.others) if first else (self.other, self.only)
        for key in table:
            if key in alien:
                yield key, f'means nothing with {self.key} = "{form}"'
        for key in () if first else self.needs:
            if key not in table:
                yield key, f'is missing: {self.key} = "{self.other}" needs it'

    def schema(self) -> Schema:
        """A condition on the deciding key."""
        return {
            "if": {"properties": {self.key: {"const": self.value}}, "required": [self.key]},
            "then": {"properties": dict.fromkeys(self.others, False)},
            "else": {"properties": dict.fromkeys(self.only, False), "required": list(self.needs)},
        }
