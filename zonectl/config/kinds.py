"""Kinds of single values that a zone file may hold: each reads one, and describes itself as JSON Schema.

They are named tuples because every cold start makes these classes: 0.04 ms each, a frozen dataclass with slots 0.5.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

from zonectl.config.nearest import nearest
from zonectl.model.names import unprintable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Schema: TypeAlias = dict[str, object]

HIDDEN = r"\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
"""For a character class: what `names.unprintable` refuses, as far as a schema can enumerate it."""

_SHOWN = 60
_TOML_TYPES: dict[type, str] = {
    bool: "a boolean",  # before int, which it is in Python
    str: "a string",
    int: "an integer",
    float: "a float",
    list: "an array",
    dict: "a table",
}


class Refused(ValueError):
    """A value cannot stand where it stands; `suggestion` is what may have been meant."""

    def __init__(self, message: str, *, suggestion: str | None = None) -> None:
        super().__init__(message)
        self.suggestion = suggestion


class Scalar(Protocol):
    """What all kinds of single values have in common."""

    @property
    def label(self) -> str:
        """What it is, with its article: "a size"."""

    def read(self, value: object) -> object:
        """The typed value of a TOML value.

        Raises:
            ValueError: it is not of this kind (`Refused` where something else may have been meant).

        """

    def schema(self) -> Schema:
        """The structural part of the kind as JSON Schema."""


def toml_type(value: object) -> str:
    """What TOML calls the type of a value, with its article."""
    for python, name in _TOML_TYPES.items():
        if isinstance(value, python):
            return name
    return "a date or time"


def shown(text: str) -> str:
    """A text as a message quotes it: escaped, and cut when long."""
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")


def string(value: object, what: str = "a string") -> str:
    """The string that `value` is; `what` says which it should be.

    Raises:
        Refused: it is something else.

    """
    if not isinstance(value, str):
        raise Refused(f"must be {what}, not {toml_type(value)}")
    return value


def visible(text: str) -> str:
    """`text`, if it holds no control, format or otherwise invisible character.

    Raises:
        Refused: it does.

    """
    if hidden := unprintable(text):
        raise Refused(f"must not hold the character {hidden}")
    return text


def within(value: float, least: float, most: float | None) -> None:
    """Check a range.

    Raises:
        Refused: the value is outside.

    """
    if value >= least and (most is None or value <= most):
        return
    bounds = f"at least {least}" if most is None else f"from {least} to {most}"
    raise Refused(f"must be {bounds}, not {value}")


class Text(NamedTuple):
    """A string that `pattern` (ECMA 262 and Python alike) matches as a whole; `rule` says it in words.

    `parse` turns it into the typed value, and may refuse what a pattern cannot. `free` lets every character through
    except NUL, which no argument of execve(2) can hold. `words` are common values, to suggest one of.
    """

    label: str
    pattern: str = ""
    rule: str = ""
    most: int | None = None
    parse: Callable[[str], object] = str
    free: bool = False
    words: tuple[str, ...] = ()

    def read(self, value: object) -> object:
        """The typed value of a TOML string."""
        text = string(value)
        if "\0" in text:
            raise Refused("must not hold NUL")
        if not self.free:
            visible(text)
        if self.most is not None and len(text) > self.most:
            raise Refused(f"must be at most {self.most} characters long, not {len(text)}")
        if self.pattern and not re.fullmatch(self.pattern, text):
            meant = nearest(text.upper(), self.words) if self.words else None
            raise Refused(f"{shown(text)} is not {self.label}: {self.rule}", suggestion=meant)
        return self.parse(text)

    def schema(self) -> Schema:
        """A string with a pattern."""
        refused = r"\u0000" if self.free else HIDDEN
        pattern = f"^(?:{self.pattern})$" if self.pattern else f"^[^{refused}]*$"
        return {"type": "string", "pattern": pattern} | ({"maxLength": self.most} if self.most else {})


class Choice(NamedTuple):
    """One of a few words, each of which stands for a typed value."""

    options: tuple[tuple[str, object], ...]

    @property
    def words(self) -> tuple[str, ...]:
        """The words."""
        return tuple(word for word, _ in self.options)

    @property
    def label(self) -> str:
        """The words, quoted."""
        return alternatives(f'"{word}"' for word in self.words)

    def read(self, value: object) -> object:
        """What the word stands for."""
        text = string(value)
        for word, meaning in self.options:
            if word == text:
                return meaning
        raise Refused(f"must be {self.label}, not {shown(text)}", suggestion=nearest(text, self.words))

    def schema(self) -> Schema:
        """An enumeration."""
        return {"type": "string", "enum": list(self.words)}


class Boolean:
    """True or false."""

    __slots__ = ()
    label = "a boolean"

    def read(self, value: object) -> object:
        """The boolean."""
        if not isinstance(value, bool):
            raise Refused(f"must be true or false, not {toml_type(value)}")
        return value

    def schema(self) -> Schema:
        """A boolean."""
        return {"type": "boolean"}


class Whole(NamedTuple):
    """An integer from `least` to `most`."""

    least: int
    most: int

    @property
    def label(self) -> str:
        """The range."""
        return f"an integer from {self.least} to {self.most}"

    def read(self, value: object) -> object:
        """The integer."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise Refused(f"must be an integer, not {toml_type(value)}")
        within(value, self.least, self.most)
        return value

    def schema(self) -> Schema:
        """An integer with bounds."""
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


class Setting:
    """What is written to a file of /proc/sys: a number, or a text of one line. Read to a text."""

    __slots__ = ()
    label = "a number or a text"
    most = 1024

    def read(self, value: object) -> object:
        """The text."""
        if isinstance(value, dict):
            raise Refused("must be a number or a text: put the whole name before it in quotes")
        if isinstance(value, int) and not isinstance(value, bool):
            within(value, -(2**63), 2**63 - 1)
            return str(value)
        text = visible(string(value, self.label))
        if len(text) > self.most:
            raise Refused(f"must be at most {self.most} characters long, not {len(text)}")
        return text

    def schema(self) -> Schema:
        """An integer, or a text."""
        text: Schema = {"type": "string", "pattern": f"^[^{HIDDEN}]*$", "maxLength": self.most}
        return {"anyOf": [{"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}, text]}


class Number(NamedTuple):
    """A finite number from `least` to `most`, with or without a fraction."""

    least: float
    most: float

    @property
    def label(self) -> str:
        """The range."""
        return f"a number from {self.least} to {self.most}"

    def read(self, value: object) -> object:
        """The number."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Refused(f"must be a number, not {toml_type(value)}")
        if isinstance(value, float) and not math.isfinite(value):
            raise Refused(f"must be a finite number, not {value}")
        within(value, self.least, self.most)
        return float(value)

    def schema(self) -> Schema:
        """A number with bounds."""
        return {"type": "number", "minimum": self.least, "maximum": self.most}


def alternatives(words: Iterable[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last
