"""Tables of a terminal: cells that are escaped, coloured and aligned, within a width."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zonectl.model.escape import escape, width

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_CODES = {"green": "32", "yellow": "33", "red": "31", "bold": "1", "dim": "2"}
_IN_ASCII = str.maketrans({"\N{MICRO SIGN}": "u", "×": "x", "·": ".", "…": "~"})
ELLIPSIS = "…"
NARROWEST = 60
"""Columns that tables of reports have in any case."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: its text, which anybody may have chosen, its colour, and on which side it stands."""

    text: str
    colour: str | None = None
    right: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What the output can show."""

    width: int  # columns
    colour: bool
    unicode: bool

    def shown(self, text: str) -> str:
        """A text made harmless, with the characters that the output has."""
        harmless = escape(text)
        if self.unicode:
            return harmless
        return harmless.translate(_IN_ASCII).encode("ascii", "backslashreplace").decode()

    def paint(self, text: str, colour: str | None) -> str:
        """A text that is harmless already, in a colour."""
        return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if self.colour and colour and text else text

    def cut(self, text: str, columns: int) -> str:
        """A shown text, shortened to so many columns."""
        if width(text) <= columns:
            return text
        mark = self.shown(ELLIPSIS)
        kept = ""
        for char in text:
            if width(kept + char) > columns - len(mark):
                break
            kept += char
        return kept + mark

    def paragraph(self, text: str, *, colour: str | None = None, indent: str = "") -> list[str]:
        """A text over as many lines as it takes; what follows the first is indented."""
        lines = [""]
        for word in self.shown(text).split(" "):
            for piece in _pieces(word, self.width - len(indent)):
                start = indent if len(lines) > 1 else ""
                if lines[-1] and width(f"{start}{lines[-1]} {piece}") > self.width:
                    lines.append(piece)
                else:
                    lines[-1] = f"{lines[-1]} {piece}" if lines[-1] else piece
        return [self.paint(indent * bool(at) + line, colour) for at, line in enumerate(lines)]

    def columns(self, rows: Sequence[Sequence[Cell]], *, gap: str) -> int:
        """How wide a table would be."""
        widths = self._widths([[self.shown(cell.text) for cell in row] for row in rows])
        return sum(widths) + len(gap) * (len(widths) - 1)

    def table(self, rows: Sequence[Sequence[Cell]], *, gap: str = "  ") -> list[str]:
        """The lines of a table of rows that are equally long, but for headings of one cell."""
        texts = [[self.shown(cell.text) for cell in row] for row in rows]
        widths = self._widths(texts)
        return [self._line(cells, shown, widths, gap=gap) for cells, shown in zip(rows, texts, strict=True)]

    @staticmethod
    def _widths(texts: Sequence[Sequence[str]]) -> list[int]:
        # A row of one cell is a heading, to which no column has to give room.
        columns = max((len(row) for row in texts), default=0)
        counted = [row for row in texts if len(row) == columns]
        return [max(width(row[at]) for row in counted) for at in range(columns)]

    def _line(self, cells: Sequence[Cell], texts: Sequence[str], widths: Sequence[int], *, gap: str) -> str:
        parts = []
        for at, (cell, text) in enumerate(zip(cells, texts, strict=True)):
            space = " " * (widths[at] - width(text))
            painted = self.paint(text, cell.colour)
            last = at == len(cells) - 1
            parts.append(space + painted if cell.right else painted + ("" if last else space))
        return gap.join(parts).rstrip()


def _pieces(word: str, columns: int) -> Iterable[str]:
    """A word that is longer than a line, in pieces."""
    piece = ""
    for char in word:
        if width(piece + char) > columns:
            yield piece
            piece = ""
        piece += char
    yield piece
