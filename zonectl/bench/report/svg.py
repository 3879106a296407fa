"""Drawings that fit any width: what lies across is told in percent, what lies up and down in pixels.

So text and strokes keep their size on a telephone and on a wall, without a script and without a view box.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zonectl.bench.report.markup import Markup, element, tag

if TYPE_CHECKING:
    from zonectl.bench.report.markup import Child

_EDGE = 0.04


def drawing(*children: Child, height: float, title: str, desc: str = "", class_: str = "") -> Markup:
    """A picture with a name and a description for those who do not see it; the name is its tooltip as well."""
    return tag(
        "svg",
        tag("title", title),
        tag("desc", desc) if desc else None,
        *children,
        class_=class_ or None,
        role="img",
        width="100%",
        height=round(height),
    )


def ornament(*children: Child, height: float, class_: str = "") -> Markup:
    """A picture that says nothing which is not said beside it."""
    return tag(
        "svg", *children, class_=class_ or None, aria_hidden="true", width="100%", height=round(height)
    )


def across(place: float) -> str:
    """A place between 0 and 1 as a coordinate."""
    return f"{place * 100:.2f}%".replace(".00%", "%")


def line(start: tuple[float, float], end: tuple[float, float], class_: str) -> Markup:
    """From a place across and pixels down, to another."""
    return tag(
        "line", x1=across(start[0]), y1=_px(start[1]), x2=across(end[0]), y2=_px(end[1]), class_=class_
    )


def upright(place: float, class_: str, *, top: float, bottom: float) -> Markup:
    """A vertical line."""
    return line((place, top), (place, bottom), class_)


def box(place: float, width: float, class_: str, *, top: float, height: float, title: str = "") -> Markup:
    """A rectangle from a place, so much of the whole wide."""
    return tag(
        "rect",
        tag("title", title) if title else None,
        x=across(place),
        y=_px(top),
        width=across(width),
        height=_px(height),
        class_=class_,
    )


def dot(place: float, down: float, class_: str, *, radius: float, title: str = "") -> Markup:
    """A filled circle."""
    named = tag("title", title) if title else None
    return tag("circle", named, cx=across(place), cy=_px(down), r=_px(radius), class_=class_)


def label(words: str, at: tuple[float, float], class_: str = "", *, anchor: str | None = None) -> Markup:
    """A text at a place across and pixels down; its anchor is `start`, `middle` or `end`, or what fits the place."""
    attributes: dict[str, str | float | bool | None] = {
        "x": across(at[0]),
        "y": _px(at[1]),
        "text-anchor": anchor or _fitting(at[0]),
        "class": class_ or None,
    }
    return element("text", attributes, words)


def _fitting(place: float) -> str:
    """A text at an edge does not hang over it."""
    if place < _EDGE:
        return "start"
    return "end" if place > 1 - _EDGE else "middle"


def _px(pixels: float) -> str:
    return f"{pixels:.1f}".removesuffix(".0")
