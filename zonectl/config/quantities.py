"""Kinds of values with a unit: sizes, durations, periods, and the modes of files."""

from __future__ import annotations

import re
from dataclasses import dataclass

from zonectl.config.kinds import Refused, Schema, shown, string, toml_type, visible, within
from zonectl.model.units import format_duration, format_size, parse_duration, parse_size

MOST_BYTES = 2**63 - 1
"""The largest size that the kernel's files take as a number."""

_AMOUNT = r"[0-9]{1,18}(\.[0-9]{1,9})? ?"
_SIZE = rf"^{_AMOUNT}(B|[kKMGTP]B|[KMGTP]iB)?$"
_DURATION = rf"{_AMOUNT}(ms|s|min|m|h|d)$"
_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Size:
    """A size of at least `least` bytes: a text with a unit, or a number of bytes. Read to an integer of bytes."""

    least: int = 0
    label = "a size"

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Duration:
    """A duration in whole milliseconds, from `least_s` to `most_s` seconds. Read to a float of seconds."""

    least_s: int = 0
    most_s: int

    @property
    def label(self) -> str:
        """Whether it may be negative."""
        return "a duration, which may be negative" if self.least_s < 0 else "a duration"

    def read(self, value: object) -> object:
        """The seconds."""
        text = visible(string(value))
        seconds = parse_duration(text, negative=self.least_s < 0)
        if not self.least_s <= seconds <= self.most_s:
            bounds = f"from {format_duration(self.least_s)} to {format_duration(self.most_s)}"
            raise Refused(f"must be {bounds}, not {text}")
        if parse_duration(format_duration(seconds), negative=True) != seconds:
            raise Refused(f"must be in whole milliseconds, not {text}")
        return seconds + 0.0  # a negative zero is zero

    def schema(self) -> Schema:
        """A text."""
        return {"type": "string", "pattern": f"^{'-?' if self.least_s < 0 else ''}{_DURATION}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A short duration in whole microseconds. Read to an integer of microseconds."""

    least_us: int
    most_us: int
    label = "a duration"

    def read(self, value: object) -> object:
        """The microseconds."""
        text = visible(string(value))
        microseconds = parse_duration(text) * _MICROSECONDS
        if abs(microseconds - round(microseconds)) > 1e-6:  # noqa: PLR2004 - the float's own error
            raise Refused(f"must be in whole microseconds, not {text}")
        within(round(microseconds) / 1000, self.least_us / 1000, self.most_us / 1000)
        return round(microseconds)

    def schema(self) -> Schema:
        """A text."""
        return {"type": "string", "pattern": f"^{_DURATION}"}


@dataclass(frozen=True, slots=True)
class FileMode:
    """The permissions of a file, in octal as chmod(1) takes them. Read to an integer."""

    label = "permissions in octal"

    def read(self, value: object) -> object:
        """The mode."""
        text = visible(string(value))
        if not re.fullmatch(r"[0-7]{3,4}", text):
            raise Refused(f"{shown(text)} is not a file mode: 3 or 4 octal digits, such as 0755")
        return int(text, 8)

    def schema(self) -> Schema:
        """A text."""
        return {"type": "string", "pattern": "^[0-7]{3,4}$"}
