"""The keys of `[security]` about system calls."""

from __future__ import annotations

from zonectl.config.kinds import HIDDEN, Boolean, Refused, Schema, shown, string
from zonectl.config.nearest import nearest
from zonectl.config.paths import MOST_BYTES, HostPath
from zonectl.config.tables import Field
from zonectl.model.seccomp import OFF, PROFILES

_WORDS = (*PROFILES, OFF)
_SUFFIXES = (".toml", ".json")


class ProfilePath(HostPath):
    """The name of a profile, or the path of a file that holds one."""

    __slots__ = ()
    label = '`"default"`, `"strict"`, `"off"`, or the path of a `.toml` or `.json` file'

    def is_path(self, text: str) -> bool:
        """Whether it is no name."""
        return text not in _WORDS

    def read(self, value: object) -> object:
        """The name, or the path."""
        text = string(value)
        if text in _WORDS:
            return text
        if text.endswith(_SUFFIXES):
            return super().read(value)
        meant = nearest(text, _WORDS)
        rule = 'must be "default", "strict", "off" or the path of a .toml or .json file'
        raise Refused(f"{rule}, not {shown(text)}", suggestion=meant)

    def schema(self) -> Schema:
        """One of the names, or a path with one of the endings."""
        path = rf"(?!(.*/)?\.\.(/|$))(?!~(/|$))[^{HIDDEN}]*\.(toml|json)"
        return {"type": "string", "pattern": f"^({'|'.join(_WORDS)}|{path})$", "maxLength": MOST_BYTES}


SECCOMP = Field(
    key="seccomp",
    kind=ProfilePath(),
    text="Which system calls the zone's processes may make; `strict` is for single services, `off` refuses none.",
    example='"strict"',
)
NESTING = Field(
    key="nesting",
    kind=Boolean(),
    text="The zone's processes may make namespaces, and so zones of their own.",
    example="true",
)
