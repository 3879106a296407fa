"""Elements of HTML and SVG. What is no `Markup` is a text that somebody else chose, and is made harmless."""

from __future__ import annotations

import html
from typing import TypeAlias

from zonectl.model.escape import escape

_VOID = frozenset({"meta", "br", "hr"})
_KEPT = "\n\t"


class Markup(str):
    """Text that is HTML already. Only `tag`, `join` and `raw` make it."""

    __slots__ = ()


Child: TypeAlias = "Markup | str | None"


def raw(text: str) -> Markup:
    """A constant of ours that is markup as it stands."""
    return Markup(text)


def text(value: str) -> Markup:
    """Any text: no markup, no character that a reader would not see or that turns others around."""
    return Markup(html.escape(escape(value, keep=_KEPT)))


def join(*children: Child) -> Markup:
    """Elements and texts, one after the other; None is nothing."""
    return Markup("".join(_harmless(child) for child in children if child is not None))


def tag(name: str, /, *children: Child, **attributes: str | float | bool | None) -> Markup:
    """An element. Of an attribute's name a last underscore goes, others become hyphens; None and False drop it."""
    return element(name, {_attribute(key): value for key, value in attributes.items()}, *children)


def element(name: str, attributes: dict[str, str | float | bool | None], *children: Child) -> Markup:
    """As `tag`, for attributes that are not spelt as Python's names are."""
    given = {key: value for key, value in attributes.items() if _is_given(value)}
    written = "".join(f" {key}{_value(value)}" for key, value in given.items())
    if name in _VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{join(*children)}</{name}>")


def _attribute(key: str) -> str:
    return key.removesuffix("_").replace("_", "-")


def _is_given(value: str | float | bool | None) -> bool:  # noqa: FBT001 - what an attribute may be
    return value is not None and value is not False


def _value(value: str | float | bool | None) -> str:  # noqa: FBT001 - what an attribute may be
    return "" if value is True else f'="{text(str(value))}"'


def _harmless(child: Markup | str) -> str:
    return child if isinstance(child, Markup) else text(child)
