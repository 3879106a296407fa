"""What is wrong with a zone file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with a zone file.

    `line` counts from 1 and is None where no line can be named; `key` is dotted (`resources.io[0].device`).
    """

    file: str
    line: int | None
    key: str
    message: str
    suggestion: str | None = None

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        key = f" {self.key}:" if self.key else ""
        meant = f" (did you mean {self.suggestion}?)" if self.suggestion else ""
        return f"{where}:{key} {self.message}{meant}"
