"""The kinds of values of `[security]` and the keys that have a grammar of their own."""

from __future__ import annotations

from zonectl.config.kinds import Refused, Schema, shown, string, visible
from zonectl.config.nearest import nearest
from zonectl.config.tables import Field, ListOf
from zonectl.model.capabilities import NAMES, SETS

_WORDS = (*SETS, *NAMES, *(f"!{name}" for name in NAMES))


class Capability:
    """A word of `capabilities`: a named set, a capability, or one with `!` that is taken away."""

    __slots__ = ()
    label = "`default`, `system`, `all`, `none`, or a name of capabilities(7) in small letters, with `!` to remove it"

    def read(self, value: object) -> object:
        """The word."""
        text = visible(string(value))
        if text in _WORDS:
            return text
        plain = text.lower().replace("cap_", "", 1)
        suggestion = plain if plain in _WORDS else nearest(plain, _WORDS)
        raise Refused(f"{shown(text)} is neither a capability nor a set of them", suggestion=suggestion)

    def schema(self) -> Schema:
        """An enumeration."""
        return {"type": "string", "enum": list(_WORDS)}


CAPABILITIES = Field(
    key="capabilities",
    kind=ListOf(Capability(), least=1, unique=True),
    text="What root of the zone may do, and what a user other than root may (those that stand here by name).",
    example='["default", "!net_raw", "sys_nice"]',
)
