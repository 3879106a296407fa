"""Notes on restarts, whose folder may go at any moment: a delete waits for nobody who only takes notes."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from zonectl.errors import StoreError
from zonectl.store import documents, restarts

if TYPE_CHECKING:
    from zonectl.store.paths import Paths

NOTE = restarts.Note(boot_id="b")


def test_nothing_is_written_for_a_zone_that_has_gone(paths: Paths) -> None:
    restarts.save(paths, "web", NOTE)
    assert not os.path.lexists(paths.run_zone_dir("web"))


def test_a_zone_that_goes_while_its_note_is_written_is_no_error(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.makedirs(paths.run_zone_dir("web"))
    write = documents.write_volatile

    def write_too_late(path: str, data: dict[str, object]) -> None:
        shutil.rmtree(paths.run_zone_dir("web"))
        write(path, data)

    monkeypatch.setattr(documents, "write_volatile", write_too_late)
    restarts.save(paths, "web", NOTE)
    assert not os.path.lexists(paths.run_zone_dir("web"))


def test_a_note_that_cannot_be_written_is_an_error(paths: Paths) -> None:
    os.makedirs(restarts.path(paths, "web"))
    with pytest.raises(StoreError):
        restarts.save(paths, "web", NOTE)
