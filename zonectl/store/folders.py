"""Removing folders of the state roots, whose contents may be a hostile zone's."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress

from zonectl.errors import StoreError

_TRIES = 10


def remove(path: str, *, spare: str | None = None) -> None:
    """Remove a folder and all in it but the entry `spare`, by descriptors (shutil.rmtree), following no link.

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


def _remove(path: str, spare: str | None) -> None:
    if spare is None:
        shutil.rmtree(path)
        return
    with os.scandir(path) as entries:
        doomed = [entry for entry in entries if entry.name != spare]
    for entry in doomed:
        with suppress(FileNotFoundError):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)
