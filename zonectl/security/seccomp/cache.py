"""Compiled filters on disk: compiled once, read by every command that has not compiled them itself.

An entry is named after what it was made of (the profile's text, the architecture, the version of the compiler) and
holds its own digest. What does not fit, for whatever reason, is made anew: an entry may make a start slower, never
weaker. The folder is root's alone, as everything below the run root.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from zonectl.errors import StoreError
from zonectl.model.seccomp import Filter
from zonectl.security.seccomp import architectures, compiler
from zonectl.security.seccomp.assembler import BPF_MAXINSNS, INSTRUCTION
from zonectl.store import documents

if TYPE_CHECKING:
    from collections.abc import Callable

    from zonectl.security.seccomp.profile import Profile

_MAGIC: Final = "zonectl-filter-1"


def filter_of(source: str, make: Callable[[], Profile], *, folder: str | None) -> Filter:
    """The filter of the profile that `make` makes of `source`: from `folder` if it is there and whole, else compiled.

    What was compiled is kept in `folder`, if one is given and that is possible.

    Raises:
        HostLacks: zonectl has no table of this host's architecture.
        TooLong: the profile is too long for the kernel.

    """
    architecture = architectures.native()
    made_of = f"{_MAGIC}\n{compiler.VERSION}\n{architecture.name} {architecture.digest}\n{source}"
    key = hashlib.sha256(made_of.encode()).hexdigest()
    found = _read(folder, key)
    if found is None:
        profile = make()
        program = compiler.compile_profile(profile, architecture)
        found = Filter(
            name=profile.name, digest=profile.digest, program=program, no_new_privs=profile.no_new_privs
        )
        _keep(folder, key, found)
    return found


def _read(folder: str | None, key: str) -> Filter | None:
    """The filter of an entry; None where there is none, or it is not what was written."""
    if folder is None:
        return None
    try:
        checksum, content = (documents.read_text(f"{folder}/{key}") or "").split("\n", 1)
        digest, no_new_privs, program, name = content.rstrip("\n").split(" ", 3)
        found = Filter(
            name=name, digest=digest, program=bytes.fromhex(program), no_new_privs=no_new_privs == "1"
        )
    except (StoreError, ValueError):
        return None
    fits = 0 < len(found.program) <= BPF_MAXINSNS * INSTRUCTION.size
    whole = checksum == _checksum(key, content) and not len(found.program) % INSTRUCTION.size
    return found if fits and whole else None


def _keep(folder: str | None, key: str, found: Filter) -> None:
    if folder is None:
        return
    content = f"{found.digest} {found.no_new_privs:d} {found.program.hex()} {found.name}\n"
    try:
        documents.write_text(f"{folder}/{key}", f"{_checksum(key, content)}\n{content}", volatile=True)
    except StoreError:
        # A full or read-only disk costs a compilation each time, and nothing else.
        return


def _checksum(key: str, content: str) -> str:
    return hashlib.sha256(f"{key}\n{content}".encode()).hexdigest()
