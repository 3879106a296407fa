"""The probe compiled: once for each state of its sources and each compiler, kept below a folder of the instance.

Who uses a probe holds a shared lock on the file (flock(2)), which goes with the last of its processes. Probes of other
sources that nobody holds are removed by the next bench. All that takes a probe or removes one is done under an
exclusive lock on the folder, so that none is removed between the finding and the holding.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from zonectl.errors import BenchError, CommandError
from zonectl.kernel import command

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCES: Final = os.path.dirname(os.path.abspath(__file__))
# What is told to a compiler of whatever age. Warnings are errors where the compiler is known: in the tests.
FLAGS: Final = ("-std=c11", "-D_GNU_SOURCE", "-O2", "-static", "-pthread")
LIBRARIES: Final = ("-lm",)
HINT: Final = "apt install gcc libc6-dev"
TIMEOUT_S: Final = 120.0
MODE: Final = 0o755  # a zone's root, who is nobody outside, executes it

_OURS: Final = re.compile(r"probe-[0-9a-f]{12}|probe\..+")
"""Probes, and what a killed compiler has left of one."""


@contextmanager
def using(folder: str) -> Iterator[str]:
    """The path of the probe, as `probe`; it stays while the block lasts. Others that nobody uses are removed.

    Raises:
        BenchError: as `probe`.

    """
    try:
        os.makedirs(folder, exist_ok=True)
        with _locked(folder, fcntl.LOCK_EX):
            path = probe(folder)
            held = _hold(path, fcntl.LOCK_SH)
            _sweep(folder, keep=os.path.basename(path))
    except OSError as error:
        raise BenchError(f"{folder}: {error.strerror}") from error
    try:
        yield path
    finally:
        os.close(held)


@contextmanager
def _locked(path: str, how: int) -> Iterator[None]:
    """Hold the lock of a file or a folder in the block; a forked child holds it too, until it closes or executes."""
    held = _hold(path, how)
    try:
        yield
    finally:
        os.close(held)


def _hold(path: str, how: int) -> int:
    """A descriptor that holds the lock, which is the caller's to close."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, how)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _sweep(folder: str, *, keep: str) -> None:
    """Remove what nobody holds; under the folder's lock, so that nobody is about to. A probe that runs goes on."""
    for name in os.listdir(folder):
        if name == keep or not _OURS.fullmatch(name):
            continue
        with suppress(OSError), _locked(f"{folder}/{name}", fcntl.LOCK_EX | fcntl.LOCK_NB):
            os.unlink(f"{folder}/{name}")


def probe(folder: str) -> str:
    """The path of the probe in `folder`, compiled if no probe of these sources and this compiler is there.

    Several may do so at once: each writes a file of its own, and all of them would be the same.

    Raises:
        BenchError: there is no C compiler, or it fails; the folder cannot be written to.

    """
    compiler = _compiler()
    path = os.path.join(folder, f"probe-{_digest(compiler)}")
    if not os.access(path, os.X_OK):
        try:
            _compile(compiler, path)
        except OSError as error:
            raise BenchError(f"{folder}: {error.strerror}") from error
    return path


def sources() -> list[str]:
    """The C files, in order."""
    return [os.path.join(SOURCES, name) for name in sorted(os.listdir(SOURCES)) if name.endswith(".c")]


def _compiler() -> str:
    found = shutil.which("cc") or shutil.which("gcc")
    if found is None:
        raise BenchError("the probe is a C program, and there is no C compiler", hint=HINT)
    return found


def _digest(compiler: str) -> str:
    """Twelve hex digits of everything that the binary is made from."""
    digest = hashlib.sha256("\0".join((*FLAGS, *LIBRARIES)).encode())
    digest.update(_run([compiler, "--version"]))
    for name in sorted(os.listdir(SOURCES)):
        if name.endswith((".c", ".h")):
            digest.update(name.encode())
            with open(os.path.join(SOURCES, name), "rb") as stream:
                digest.update(stream.read())
    return digest.hexdigest()[:12]


def _compile(compiler: str, path: str) -> None:
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix="probe.", dir=folder)
    os.close(descriptor)
    try:
        _run([compiler, *FLAGS, "-o", temporary, *sources(), *LIBRARIES])
        os.chmod(temporary, MODE)
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _run(argv: list[str]) -> bytes:
    try:
        return command.run(argv, timeout_s=TIMEOUT_S).stdout
    except CommandError as error:
        raise BenchError(f"the probe cannot be compiled: {error.message}", hint=HINT) from error
