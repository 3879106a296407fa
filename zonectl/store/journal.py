"""The journal of a zone: one line before each step on the host, so that recovery can undo it.

Nothing is synced: the journal must outlive its process, and what it undoes does not outlive the kernel.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zonectl.errors import StoreError
from zonectl.store import documents
from zonectl.store.paths import FOLDER_MODE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zonectl.store.documents import Json


@dataclass(frozen=True, slots=True)
class Entry:
    """A step that was about to be done: its kind, and what its undo needs."""

    step: str
    args: dict[str, Json]


@dataclass(frozen=True, slots=True)
class Journal:
    """The journal in the file `path`, which is there only while it has entries."""

    path: str

    def append(self, step: str, args: Mapping[str, object]) -> None:
        """Note that `step` is about to be done.

        Raises:
            StoreError: it cannot be written: the step must not be done.

        """
        # A line break on both sides: a torn line before it stays alone. One write: O_APPEND keeps it whole.
        line = f"\n{json.dumps({'step': step, 'args': dict(args)})}\n".encode()
        fd = self._open()
        try:
            written = os.write(fd, line)
        except OSError as error:
            raise StoreError(f"cannot write {self.path}: {error.strerror}") from error
        finally:
            os.close(fd)
        if written != len(line):
            raise StoreError(f"cannot write {self.path}: no space")

    def entries(self) -> list[Entry]:
        """What was noted, oldest first. A torn line is left out: its step was never begun.

        Raises:
            StoreError: the file cannot be read.

        """
        lines = (documents.read_text(self.path) or "").split("\n")
        return [entry for line in lines if (entry := _parse(line))]

    def clear(self) -> None:
        """Forget everything; nothing to forget is fine.

        Raises:
            StoreError: the file cannot be removed.

        """
        documents.remove(self.path, volatile=True)

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            try:
                return os.open(self.path, flags, documents.FILE_MODE)
            except FileNotFoundError:
                os.makedirs(os.path.dirname(self.path), FOLDER_MODE, exist_ok=True)
                return os.open(self.path, flags, documents.FILE_MODE)
        except OSError as error:
            raise StoreError(f"cannot write {self.path}: {error.strerror}") from error


def _parse(line: str) -> Entry | None:
    try:
        data: Json = json.loads(line)
    except ValueError:
        return None
    if not isinstance(data, dict):
        return None
    step, args = data.get("step"), data.get("args")
    return Entry(step, args) if isinstance(step, str) and isinstance(args, dict) else None
