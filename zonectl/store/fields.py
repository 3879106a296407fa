"""Typed reading of a document's keys: a wrong type is an error that names file and key."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zonectl.errors import Damaged

if TYPE_CHECKING:
    from zonectl.store.documents import Json


@dataclass(frozen=True, slots=True)
class Fields:
    """The keys of one object in the document `path`; every method raises StoreError where it is wrong."""

    path: str
    values: dict[str, Json]

    def text(self, key: str) -> str:
        """A string."""
        value = self.values.get(key)
        if not isinstance(value, str):
            raise self.wrong(key, "a string")
        return value

    def optional_text(self, key: str) -> str | None:
        """A string, or None where it is null or missing."""
        return None if self.values.get(key) is None else self.text(key)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings; empty where it is missing."""
        value = self.values.get(key, [])
        if not isinstance(value, list):
            raise self.wrong(key, "a list")
        texts = tuple(item for item in value if isinstance(item, str))
        if len(texts) != len(value):
            raise self.wrong(key, "a list of strings")
        return texts

    def integer(self, key: str, default: int | None = None) -> int:
        """A whole number, which true and 1.0 are not."""
        value = self.values.get(key, default)
        if type(value) is not int:
            raise self.wrong(key, "a whole number")
        return value

    def optional_integer(self, key: str) -> int | None:
        """A whole number, or None where it is null or missing."""
        return None if self.values.get(key) is None else self.integer(key)

    def number(self, key: str) -> float:
        """A finite number."""
        value = self.values.get(key)
        if type(value) not in {int, float} or not math.isfinite(value):  # type: ignore[arg-type]
            raise self.wrong(key, "a number")
        return float(value)  # type: ignore[arg-type]

    def boolean(self, key: str, *, default: bool | None = None) -> bool:
        """True or false."""
        value = self.values.get(key, default)
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return value

    def table(self, key: str) -> Fields:
        """An object; empty where it is missing."""
        value = self.values.get(key, {})
        if not isinstance(value, dict):
            raise self.wrong(key, "an object")
        return Fields(self.path, value)

    def wrong(self, key: str, expected: str) -> Damaged:
        """The error that the value of `key` is not what was expected."""
        return Damaged(f"{self.path} is damaged: {key} is not {expected}")
