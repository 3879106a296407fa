"""The probe compiled: once for each state of its sources and each compiler, kept below a folder of the instance."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from contextlib import suppress
from typing import Final

from zonectl.errors import BenchError, CommandError
from zonectl.kernel import command

SOURCES: Final = os.path.dirname(os.path.abspath(__file__))
# What is told to a compiler of whatever age. Warnings are errors where the compiler is known: in the tests.
FLAGS: Final = ("-std=c11", "-D_GNU_SOURCE", "-O2", "-static", "-pthread")
LIBRARIES: Final = ("-lm",)
HINT: Final = "apt install gcc libc6-dev"
TIMEOUT_S: Final = 120.0
MODE: Final = 0o755  # a zone's root, who is nobody outside, executes it


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
