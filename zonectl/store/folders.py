"""Removing folders of the state roots, whose contents may be a hostile zone's: by descriptors, following no link."""

from __future__ import annotations

import errno
import os

from zonectl.errors import StoreError
from zonectl.store import documents

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_TRIES = 10

_DEPTH = 64
"""How deep a removal goes. A zone nests its folders without end, and each level costs a descriptor and a frame."""


def remove(path: str, *, spare: str | None = None) -> None:
    """Remove a folder and all in it; with `spare` all in it but the entry of that name.

    What is gone is fine. A folder into which somebody writes meanwhile (who waits for a lock in it makes its file
    again) is tried again.

    Raises:
        StoreError: something cannot be removed.

    """
    for tries_left in reversed(range(_TRIES)):
        try:
            _remove(path, spare)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno == errno.ENOTEMPTY and tries_left:
                continue
            raise StoreError(f"cannot remove {path}: {error.strerror}") from error
        return


def clear(folder: int, *, spare: str | None = None) -> None:
    """Remove all in the open folder, but the entry `spare`; what is gone is fine.

    Raises:
        OSError: something cannot be removed; ENOTEMPTY where somebody writes meanwhile.

    """
    _Clearing(folder).run(spare)


def _remove(path: str, spare: str | None) -> None:
    folder = os.open(path, _FOLDER)
    try:
        clear(folder, spare=spare)
    finally:
        os.close(folder)
    if spare is None:
        os.rmdir(path)


class _Clearing:
    """The emptying of the folder `top`; what lies too deep below it is moved into it, and emptied in its turn."""

    def __init__(self, top: int) -> None:
        self._top = top
        self._moved: list[str] = []

    def run(self, spare: str | None) -> None:
        names = [name for name in os.listdir(self._top) if name != spare]
        while names:
            for name in names:
                self._drop(self._top, name, depth=0)
            names, self._moved = self._moved, []

    def _drop(self, parent: int, name: str, *, depth: int) -> None:
        try:
            os.unlink(name, dir_fd=parent)
        except FileNotFoundError:
            return
        except IsADirectoryError:
            if depth < _DEPTH:
                self._drop_folder(parent, name, depth=depth)
            else:
                self._move_up(parent, name)

    def _drop_folder(self, parent: int, name: str, *, depth: int) -> None:
        folder = os.open(name, _FOLDER, dir_fd=parent)
        try:
            for below in os.listdir(folder):
                self._drop(folder, below, depth=depth + 1)
        finally:
            os.close(folder)
        os.rmdir(name, dir_fd=parent)

    def _move_up(self, parent: int, name: str) -> None:
        # Not a temporary file's name: a zone's folder that holds those alone counts as never made.
        moved = f"deep{documents.temporary_name()}"
        os.rename(name, moved, src_dir_fd=parent, dst_dir_fd=self._top)
        self._moved.append(moved)
