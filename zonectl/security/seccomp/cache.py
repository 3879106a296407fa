"""Compiled programs on disk: compiled once, read by every command that has not compiled it itself.

An entry is named after what it was made of (profile, architecture, version of the compiler) and begins with the digest
of its program. What does not fit, for whatever reason, is compiled anew.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from zonectl.errors import StoreError
from zonectl.security.seccomp import compiler
from zonectl.security.seccomp.assembler import BPF_MAXINSNS, INSTRUCTION
from zonectl.store import documents

if TYPE_CHECKING:
    from zonectl.security.seccomp.architectures import Architecture
    from zonectl.security.seccomp.profile import Profile

MAGIC: Final = "zonectl-bpf"


def program(profile: Profile, architecture: Architecture, folder: str | None) -> bytes:
    """The program of a profile, from `folder` if it is there and whole, else compiled, and kept there if possible.

    Raises:
        TooLong: the profile is too long for the kernel.

    """
    if folder is None:
        return compiler.compile_profile(profile, architecture)
    key = entry_key(profile, architecture)
    path = f"{folder}/{key}"
    found = _read(path, key)
    if found is None:
        found = compiler.compile_profile(profile, architecture)
        _keep(path, key, found)
    return found


def entry_key(profile: Profile, architecture: Architecture) -> str:
    """The name of the entry: what the program was made of."""
    made_of = f"{MAGIC} {compiler.VERSION} {architecture.name} {architecture.digest} {profile.digest}"
    return hashlib.sha256(made_of.encode()).hexdigest()


def _read(path: str, key: str) -> bytes | None:
    """The program of an entry; None where there is none, or it is not what was written."""
    try:
        text = documents.read_text(path)
        magic, of, digest, words = (text or "").split()
        found = bytes.fromhex(words)
    except (StoreError, ValueError):
        return None
    whole = (magic, of, digest) == (MAGIC, key, _digest(key, found))
    fits = 0 < len(found) <= BPF_MAXINSNS * INSTRUCTION.size and not len(found) % INSTRUCTION.size
    return found if whole and fits else None


def _keep(path: str, key: str, found: bytes) -> None:
    try:
        documents.write_text(path, f"{MAGIC} {key} {_digest(key, found)} {found.hex()}\n", volatile=True)
    except StoreError:
        # A full or read-only disk costs a compilation each time, and nothing else.
        return


def _digest(key: str, found: bytes) -> str:
    return hashlib.sha256(key.encode() + found).hexdigest()
