"""System call filters: the words of zone files for them, and one that is ready to be loaded."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

DEFAULT = "default"
STRICT = "strict"
OFF = "off"
PROFILES = (DEFAULT, STRICT)
"""Those that zonectl brings along."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """The compiled `program` (an array of struct sock_filter) of the profile `name`.

    `digest` is the SHA-256 of what the profile says. `no_new_privs`: the profile is meant for programs that gain
    nothing by exec, and turns that on.
    """

    name: str
    digest: str
    program: bytes = field(repr=False)
    no_new_privs: bool = False

    @property
    def instructions(self) -> int:
        """How many instructions the program has."""
        return len(self.program) // 8

    @property
    def program_digest(self) -> str:
        """The SHA-256 of the program, which PTRACE_SECCOMP_GET_FILTER gives back for a process."""
        return hashlib.sha256(self.program).hexdigest()
