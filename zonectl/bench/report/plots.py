"""Values over something else: the ratio of each round, and what a zone costs when there are many."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from zonectl.bench.report import figures
from zonectl.bench.report.markup import join
from zonectl.bench.report.scale import LinearScale
from zonectl.bench.report.strips import VERDICTS
from zonectl.bench.report.svg import box, dot, drawing, label, line
from zonectl.bench.statistics import LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from zonectl.bench.report.findings import Finding
    from zonectl.bench.report.markup import Markup

_ROUNDS_HEIGHT = 116
_CURVE_HEIGHT = 240
_ABOVE = 18
"""Pixels kept free for the name of the topmost value."""
_MOST_POINTS = 120
"""Of a longer run every nth round is drawn: a page stays one that can be sent."""
_FAR_OUT = 3.0
"""So many times the distance of the quartiles beyond them a round is drawn at the edge."""
_LEFT = 0.13
"""The share of a plot's width that is kept free for the names of its upright axis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """A place to plot in: what lies across in shares, what lies up in values."""

    height: int
    below: int  # pixels kept free for the names of the lower axis
    x: LinearScale
    y: LinearScale

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a point stands: a place across and pixels down."""
        return _LEFT + (1 - _LEFT) * 0.98 * self.x.at(x), self.down(y)

    def down(self, y: float) -> float:
        """How many pixels down a value stands."""
        return _ABOVE + (1 - self.y.at(y)) * (self.height - _ABOVE - self.below)

    def rows(self, told: Callable[[float], str]) -> Iterator[Markup]:
        """Lines for values of the upright axis, with their names on them at the left."""
        for tick in self.y.ticks():
            yield line((0, self.down(tick)), (1, self.down(tick)), "grid")
            yield label(told(tick), (0, self.down(tick) - 4), "tick")


def rounds(finding: Finding, control: Finding | None) -> Markup:
    """The ratio of each round of the zone to bare metal; behind it, bare metal's to itself."""
    noise = control.ratios if control else ()
    usual = [ratio - 1 for ratios in (finding.ratios, noise or (1.0,)) for ratio in _usual(ratios)]
    frame = _Frame(
        height=_ROUNDS_HEIGHT,
        below=4,
        x=LinearScale(1, max(2, len(finding.ratios))),
        y=LinearScale.around([*usual, LIMIT, -0.01], marks=3),
    )
    verdict = VERDICTS[finding.comparison.verdict]
    least, most = figures.loss(min(finding.ratios)), figures.loss(max(finding.ratios))
    return drawing(
        _band(frame),
        *frame.rows(_percent),
        *_points(frame, noise, "noise-point"),
        *_points(frame, finding.ratios, f"point {verdict}"),
        height=_ROUNDS_HEIGHT,
        title=f"{finding.workload.name}: the loss in each round",
        desc=f"{len(finding.ratios)} rounds, from {least} to {most}",
        class_="plot",
    )


def _band(frame: _Frame) -> Markup:
    top, bottom = frame.down(LIMIT), frame.down(0)
    return join(
        box(_LEFT, 1 - _LEFT, "good", top=top, height=bottom - top),
        line((0, bottom), (1, bottom), "zero"),
        line((_LEFT, top), (1, top), "limit"),
    )


def _points(frame: _Frame, ratios: Sequence[float], class_: str) -> Iterator[Markup]:
    step = len(ratios) // _MOST_POINTS + 1
    for number in range(0, len(ratios), step):
        place, down = frame.at(number + 1, ratios[number] - 1)
        yield dot(place, down, class_, radius=3)


def _usual(values: Sequence[float]) -> list[float]:
    """Those that are not far out: a preempted round takes ten times as long, and would press all others flat.

    Source: Tukey, "Exploratory Data Analysis" (1977), 2D.
    """
    ordered = sorted(values)
    low, high = ordered[len(ordered) // 4], ordered[len(ordered) * 3 // 4]
    reach = _FAR_OUT * (high - low)
    return [value for value in ordered if low - reach <= value <= high + reach]


def _percent(loss: float) -> str:
    return f"{loss * 100:g}%".replace("-", "\N{MINUS SIGN}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A value for each number of zones."""

    name: str
    values: tuple[float, ...]


def curves(zones: Sequence[int], of: Sequence[Curve], *, told: Callable[[float], str], title: str) -> Markup:
    """Curves over the number of zones; the style sheet has a colour for each, in order."""
    frame = _Frame(
        height=_CURVE_HEIGHT,
        below=24,
        x=LinearScale.around(zones),
        y=LinearScale.around(value for curve in of for value in curve.values),
    )
    foot = frame.down(0)
    return drawing(
        *frame.rows(told),
        line((0, foot), (1, foot), "zero"),
        *(
            label(f"{tick:g}", (frame.at(tick, 0)[0], _CURVE_HEIGHT - 5), "tick", anchor="middle")
            for tick in frame.x.ticks()
        ),
        *(part for at, curve in enumerate(of) for part in _curve(frame, zones, curve.values, f"k{at}")),
        height=_CURVE_HEIGHT,
        title=title,
        desc="; ".join(
            f"{curve.name}: {told(curve.values[0])} with {zones[0]}, {told(curve.values[-1])} with {zones[-1]}"
            for curve in of
        ),
        class_="plot",
    )


def _curve(  # noqa: PLR0917 - private, and each of another type
    frame: _Frame, zones: Sequence[int], values: Sequence[float], colour: str
) -> Iterator[Markup]:
    points = [frame.at(number, value) for number, value in zip(zones, values, strict=True)]
    for start, end in pairwise(points):
        yield line(start, end, f"curve {colour}")
    for place, down in points:
        yield dot(place, down, f"knot {colour}", radius=3.5)
