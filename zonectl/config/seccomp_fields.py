"""The keys of `[security]` about system calls."""

from __future__ import annotations

from zonectl.config.kinds import Boolean, Choice
from zonectl.config.tables import Field
from zonectl.model.seccomp import OFF, PROFILES

SECCOMP = Field(
    key="seccomp",
    kind=Choice(tuple((word, word) for word in (*PROFILES, OFF))),
    text="Which system calls the zone's processes may make. `strict` is for single services; `off` refuses none.",
    example='"strict"',
)
NESTING = Field(
    key="nesting",
    kind=Boolean(),
    text="The zone's processes may make namespaces, and so zones of their own.",
    example="true",
)
