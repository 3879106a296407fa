"""Kinds of values with a unit: sizes, durations, periods, and the modes of files."""

from __future__ import annotations

import re
from typing import NamedTuple

from zonectl.config.kinds import Refused, Schema, shown, string, toml_type, visible
from zonectl.model.units import format_duration, format_size, parse_duration, parse_size

MOST_BYTES = 2**63 - 1
"""The largest size that the kernel's files take as a number."""

_AMOUNT = r"[0-9]{1,19}(\.[0-9]{1,9})? ?"
_SIZE = rf"^{_AMOUNT}(B|[kKMGTP]B|[KMGTP]iB)?$"
_DURATION = rf"{_AMOUNT}(ms|s|min|m|h|d)$"
_PERCENT = r"[0-9]{1,5}(\.[0-9]{1,3})? ?%"
_MICROSECONDS = 1_000_000
_EXAMPLE = 'a duration such as "10s"'


class Size(NamedTuple):
    """A size of at least `least` bytes: a text with a unit, or a number of bytes. Read to an integer of bytes."""

    least: int = 0

    @property
    def label(self) -> str:
        """The least, if there is one."""
        return f"a size of at least {format_size(self.least)}" if self.least > 1 else "a size"

    def read(self, value: object) -> object:
        """The bytes."""
        match value:
            case bool():
                raise Refused("must be a size, not a boolean")
            case str():
                size = parse_size(visible(value))
            case int():
                size = value
            case _:
                raise Refused(f"must be a size, not {toml_type(value)}")
        if not self.least <= size <= MOST_BYTES:
            edge = f"at least {format_size(self.least)}" if size < self.least else f"at most {MOST_BYTES}"
            raise Refused(f"must be {edge}, not {value}")
        return size

    def schema(self) -> Schema:
        """A number of bytes, or a text."""
        number = {"type": "integer", "minimum": self.least, "maximum": MOST_BYTES}
        return {"anyOf": [{"type": "string", "pattern": _SIZE}, number]}


class Duration(NamedTuple):
    """A duration in whole milliseconds, from `least_s` to `most_s` seconds. Read to a float of seconds."""

    most_s: int
    least_s: int = 0

    @property
    def label(self) -> str:
        """Whether it may be negative."""
        return "a duration, which may be negative" if self.least_s < 0 else "a duration"

    def read(self, value: object) -> object:
        """The seconds."""
        text = visible(string(value, _EXAMPLE))
        seconds = parse_duration(text, negative=self.least_s < 0)
        if not self.least_s <= seconds <= self.most_s:
            raise Refused(f"must be from {self.least_s}s to {self.most_s}s, not {text}")
        if parse_duration(format_duration(seconds), negative=True) != seconds:
            raise Refused(f"must be in whole milliseconds, not {text}")
        return seconds + 0.0  # a negative zero is zero

    def schema(self) -> Schema:
        """A text."""
        return {"type": "string", "pattern": f"^{'-?' if self.least_s < 0 else ''}{_DURATION}"}


class Period(NamedTuple):
    """A short duration in whole microseconds. Read to an integer of microseconds."""

    least_us: int
    most_us: int

    @property
    def label(self) -> str:
        """The range."""
        return f"a duration from {self.least_us // 1000}ms to {self.most_us // 1000}ms"

    def read(self, value: object) -> object:
        """The microseconds."""
        text = visible(string(value, _EXAMPLE))
        microseconds = parse_duration(text) * _MICROSECONDS
        if abs(microseconds - round(microseconds)) > 1e-6:  # noqa: PLR2004 - the float's own error
            raise Refused(f"must be in whole microseconds, not {text}")
        if not self.least_us <= microseconds <= self.most_us:
            raise Refused(f"must be from {self.least_us // 1000}ms to {self.most_us // 1000}ms, not {text}")
        return round(microseconds)

    def schema(self) -> Schema:
        """A text."""
        return {"type": "string", "pattern": f"^{_DURATION}"}


class Percent:
    """A share in per cent, as a text with its sign, in thousandths at most. Read to a float: 3.0 for "3%"."""

    __slots__ = ()
    label = "a percentage"

    def read(self, value: object) -> object:
        """The per cent."""
        text = visible(string(value, 'a percentage such as "3%"'))
        if not re.fullmatch(_PERCENT, text):
            raise Refused(f"{shown(text)} is not a percentage: up to 99999.999, and the sign, such as 3%")
        return float(text.rstrip(" %"))

    def schema(self) -> Schema:
        """A text."""
        return {"type": "string", "pattern": f"^{_PERCENT}$"}


class FileMode:
    """The permissions of a file, in octal as chmod(1) takes them. Read to an integer."""

    __slots__ = ()
    label = "permissions in octal"

    def read(self, value: object) -> object:
        """The mode."""
        text = visible(string(value, 'a string of octal digits such as "0755"'))
        if not re.fullmatch(r"[0-7]{3,4}", text):
            raise Refused(f"{shown(text)} is not a file mode: 3 or 4 octal digits, such as 0755")
        return int(text, 8)

    def schema(self) -> Schema:
        """A text."""
        return {"type": "string", "pattern": "^[0-7]{3,4}$"}
