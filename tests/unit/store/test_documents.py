from __future__ import annotations

import os
from pathlib import Path

import pytest

from zonectl.errors import StoreError
from zonectl.store import documents


def test_a_document_reads_back_and_names_its_writer(tmp_path: Path) -> None:
    path = str(tmp_path / "a.json")
    documents.write_json(path, {"schema_version": 1, "names": ["é", "\n"]})
    read = documents.read_json(path, newest=1)
    assert read["names"] == ["é", "\n"]
    assert isinstance(read["written_by"], str)
    assert Path(path).stat().st_mode & 0o777 == 0o600


@pytest.mark.fault("a document of a newer release", "refused, with the release that wrote it")
def test_a_newer_document_is_refused_unread_and_says_who_wrote_it(tmp_path: Path) -> None:
    path = str(tmp_path / "a.json")
    documents.write_text(path, '{"schema_version": 3, "written_by": "9.1", "names": 7}')
    with pytest.raises(StoreError, match=r"schema 3, newer than 2: written by zonectl 9\.1"):
        documents.read_json(path, newest=2)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "1",
        "{}",
        '{"schema_version": true}',
        '{"schema_version": "1"}',
        '{"schema_version": 0}',
        "[" * 100_000,
    ],
)
def test_damage_is_an_error_that_names_the_file(tmp_path: Path, text: str) -> None:
    path = str(tmp_path / "a.json")
    documents.write_text(path, text)
    with pytest.raises(StoreError, match=r"a\.json is damaged"):
        documents.read_json(path, newest=1)


def test_bytes_that_are_no_text_are_damage(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xff\xfe\0")
    with pytest.raises(StoreError, match="not UTF-8"):
        documents.read_json(str(tmp_path / "a.json"), newest=1)


def test_a_missing_document_is_none_or_an_error(tmp_path: Path) -> None:
    assert documents.read_optional(str(tmp_path / "a.json"), newest=1) is None
    with pytest.raises(StoreError, match="is missing"):
        documents.read_json(str(tmp_path / "a.json"), newest=1)


def test_links_and_fifos_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "there.json").write_text('{"schema_version": 1}')
    (tmp_path / "link.json").symlink_to("there.json")
    os.mkfifo(tmp_path / "fifo.json")
    for name in ("link.json", "fifo.json"):
        with pytest.raises(StoreError):
            documents.read_json(str(tmp_path / name), newest=1)


def test_writing_replaces_a_link_and_leaves_its_target_alone(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("kept")
    (tmp_path / "a").symlink_to("there")
    documents.write_text(str(tmp_path / "a"), "new")
    assert (tmp_path / "there").read_text() == "kept"
    assert not (tmp_path / "a").is_symlink()


def test_a_failed_write_keeps_the_old_text_and_no_leftover(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.mkdir()
    with pytest.raises(StoreError, match="cannot write"):
        documents.write_text(str(path), "text")
    assert os.listdir(tmp_path) == ["a"]


def test_no_space_is_told_in_one_line_with_a_hint() -> None:
    failure = documents._failure("write", "/x", OSError(28, "No space left on device"))
    assert failure.message == "cannot write /x: No space left on device"
    assert failure.hint


@pytest.mark.fault("temporary files of a killed writer", "swept; those of a live writer stay")
def test_sweep_removes_what_the_dead_have_left_alone(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    (tmp_path / f".tmp-{child}-0badcafe").touch()
    mine = documents.temporary_name()
    (tmp_path / mine).touch()
    documents.sweep(str(tmp_path))
    assert os.listdir(tmp_path) == [mine]


def test_removing_twice_is_fine(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    documents.remove(str(tmp_path / "a"))
    documents.remove(str(tmp_path / "a"))
    documents.remove(str(tmp_path / "nowhere/a"))
    assert os.listdir(tmp_path) == []


def test_a_volatile_document_takes_the_place_of_what_is_there_whatever_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for _ in range(2):
        documents.write_text(str(path), "new", volatile=True)
    (tmp_path / "there").write_text("kept")
    path.unlink()
    path.symlink_to("there")
    documents.write_text(str(path), "newer", volatile=True)
    assert (path.read_text(), path.is_symlink()) == ("newer", False)
    assert (tmp_path / "there").read_text() == "kept"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a", "there"]


def test_a_volatile_document_does_not_take_the_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_text("kept")
    with pytest.raises(StoreError):
        documents.write_text(str(tmp_path / "a"), "new", volatile=True)
    assert (tmp_path / "a" / "b").read_text() == "kept"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]
