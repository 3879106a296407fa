"""The keys of `[security]`, and the words of `capabilities`."""

from __future__ import annotations

from zonectl.config.kinds import Boolean, Choice, Refused, Schema, shown, string, visible
from zonectl.config.nearest import nearest
from zonectl.config.seccomp_fields import NESTING, SECCOMP
from zonectl.config.tables import Field, ListOf, Table
from zonectl.model import masks
from zonectl.model.capabilities import NAMES, SETS
from zonectl.model.config import SecurityConfig

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


_CAPABILITIES = Field(
    key="capabilities",
    kind=ListOf(Capability(), least=1, unique=True),
    text="What root of the zone may do, and what a user other than root may (those that stand here by name).",
    example='["default", "!net_raw", "sys_nice"]',
)

SECURITY = Table(
    SecurityConfig,
    (
        _CAPABILITIES,
        Field(
            key="no_new_privs",
            kind=Boolean(),
            text="No program gains privileges by set-user-ID bits or file capabilities (PR_SET_NO_NEW_PRIVS).",
            example="true",
        ),
        SECCOMP,
        NESTING,
        Field(
            key="unmask",
            kind=ListOf(Choice(tuple((path, path) for path in (*masks.KEPT, masks.ALL))), unique=True),
            text="What is shown of /proc and /sys that zones do not see, or is made writable; `all` shows all of it.",
            example='["/proc/interrupts"]',
        ),
        Field(
            key="devices",
            name="filter_devices",
            kind=Choice((("filtered", True), ("unfiltered", False))),
            text="`filtered`: the zone opens the usual devices and those of `[[device]]`, whatever nodes it comes by.",
            example='"unfiltered"',
        ),
    ),
)
