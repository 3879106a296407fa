"""The ladder as stacked bars: a bar a workload, a piece for each layer that costs something for certain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zonectl.bench.report import figures
from zonectl.bench.report.markup import tag
from zonectl.bench.report.scale import LinearScale
from zonectl.bench.report.svg import box, drawing, label, ornament, upright

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zonectl.bench.report.findings import Findings
    from zonectl.bench.report.markup import Markup
    from zonectl.bench.results import WorkloadFacts

HEIGHT, AXIS = 36, 22
_TOP, _BAR = 8, 20
COLOURS = 8
"""How many the style sheet has; a ninth layer begins anew, paler."""
_EVERY_OTHER = 6
"""An axis with more ticks names every second one: on a telephone they would touch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What a layer adds to a workload, as a share of its time on bare metal."""

    layer: str
    colour: str  # class of the style sheet
    share: float
    told: str  # for people


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A workload, its pieces from the lowest layer on, and the whole zone's loss."""

    workload: WorkloadFacts
    pieces: tuple[Piece, ...]
    total: float | None

    @property
    def ends(self) -> list[float]:
        """How far it reaches to both sides, with the mark of the total."""
        up = sum(piece.share for piece in self.pieces if piece.share > 0)
        down = sum(piece.share for piece in self.pieces if piece.share < 0)
        return [down, up, self.total or 0.0]


def bars(found: Findings) -> list[Bar]:
    """A bar for each workload in which some layer rises above the noise."""
    colours = palette(found)
    made = (_bar(found, workload, colours) for workload in found.workloads_of(found.chain))
    return [bar for bar in made if bar.pieces]


def palette(found: Findings) -> dict[str, str]:
    """The layers that cost something somewhere, by name, each with its class of the style sheet."""
    telling = [
        row.title for row in found.chain if any(cell.comparison.differs for cell in row.cells.values())
    ]
    return {title: f"c{at % COLOURS}{' again' * (at >= COLOURS)}" for at, title in enumerate(telling)}


def _bar(found: Findings, workload: WorkloadFacts, colours: dict[str, str]) -> Bar:
    cells = [(row.title, row.cells[workload.name]) for row in found.chain if workload.name in row.cells]
    whole = found.zone.cells.get(workload.name) if found.zone else None
    bare_ns = whole.reference_ns if whole else cells[0][1].reference_ns
    pieces = tuple(
        Piece(
            layer=title,
            colour=colours[title],
            share=(cell.comparison.ratio - 1) * cell.reference_ns / bare_ns,
            told=f"{figures.loss(cell.comparison.ratio)} ({figures.interval(cell.comparison)})",
        )
        for title, cell in cells
        if cell.comparison.differs
    )
    return Bar(workload=workload, pieces=pieces, total=whole.comparison.ratio - 1 if whole else None)


def scale(of: Sequence[Bar]) -> LinearScale:
    """The axis that bars share."""
    return LinearScale.around(end for bar in of for end in bar.ends)


def axis(along: LinearScale) -> Markup:
    """The names of the losses, to stand below bars of the same width."""
    ticks = along.ticks()
    every = 2 if len(ticks) > _EVERY_OTHER else 1
    names = (
        label(f"{tick * 100:g}%".replace("-", "\N{MINUS SIGN}"), (along.at(tick), 15), "tick")
        for tick in ticks[::every]
    )
    return ornament(*names, height=AXIS, class_="axis")


def drawn(bar: Bar, along: LinearScale) -> Markup:
    """A bar on its axis; the mark shows the whole zone's loss, measured by itself."""
    told = "; ".join(f"{piece.layer} {piece.told}" for piece in bar.pieces)
    total = "" if bar.total is None else f", the whole zone {figures.loss(1 + bar.total)}"
    return drawing(
        *(upright(along.at(tick), "grid", top=0, bottom=HEIGHT) for tick in along.ticks()),
        *_pieces(bar, along),
        upright(along.at(0.0), "zero", top=0, bottom=HEIGHT),
        None if bar.total is None else upright(along.at(bar.total), "total", top=3, bottom=HEIGHT - 3),
        height=HEIGHT,
        title=f"{bar.workload.name}{total}",
        desc=f"Each layer over the one below it: {told}",
        class_="strip",
    )


def _pieces(bar: Bar, along: LinearScale) -> Iterator[Markup]:
    """Costs stand one after the other to the right of 0, gains to the left of it."""
    reached = {True: 0.0, False: 0.0}
    for piece in bar.pieces:
        start = reached[piece.share > 0]
        end = reached[piece.share > 0] = start + piece.share
        low, high = sorted((along.at(start), along.at(end)))
        told = f"{piece.layer}: {piece.told}"
        yield box(low, high - low, f"piece {piece.colour}", top=_TOP, height=_BAR, title=told)


def legend(colours: dict[str, str]) -> Markup:
    """Which colour is which layer."""
    items = (
        tag("li", ornament(box(0, 1, f"piece {colour}", top=0, height=12), height=12, class_="key"), title)
        for title, colour in colours.items()
    )
    return tag("ul", *items, class_="legend")
