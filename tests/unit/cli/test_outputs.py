from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zonectl.cli.outputs import Output
from zonectl.errors import StoreError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def written(path: Path, text: str = "text\n") -> None:
    output = Output(str(path))
    output.require()
    output.write(text)


def test_a_new_file(tmp_path: Path) -> None:
    path = tmp_path / "new"
    Output(str(path)).require()
    assert not list(tmp_path.iterdir())
    written(path)
    assert path.read_text(encoding="utf-8") == "text\n"
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_that_is_private(tmp_path: Path) -> None:
    path = tmp_path / "new"
    output = Output(str(path), private=True)
    output.require()
    output.write("text")
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_a_file_keeps_its_mode(tmp_path: Path, *, mode: int, private: bool) -> None:
    path = tmp_path / "old"
    path.touch()
    path.chmod(mode)
    Output(str(path), private=private).write("text")
    assert path.read_text(encoding="utf-8") == "text"
    assert path.stat().st_mode & 0o7777 == mode


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "old"
    path.write_text("a longer text than the new one\n", encoding="utf-8")
    with path.open(encoding="utf-8") as reader:
        written(path)
        assert reader.read() == "a longer text than the new one\n"
    assert path.read_text(encoding="utf-8") == "text\n"


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link = tmp_path / "link"
    link.symlink_to("there/file")
    written(link)
    assert link.is_symlink()
    assert (tmp_path / "there/file").read_text(encoding="utf-8") == "text\n"


def test_a_name_without_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written(Path("name"))
    assert (tmp_path / "name").read_text(encoding="utf-8") == "text\n"


def test_a_device_is_written_to_and_stays_one(tmp_path: Path) -> None:
    written(Path("/dev/null"))
    assert Path("/dev/null").is_char_device()


def test_a_fifo_is_written_to_and_stays_one(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    writer = threading.Thread(target=written, args=(fifo,))
    writer.start()
    writer.join()
    assert os.read(reader, 100) == b"text\n"
    os.close(reader)
    assert fifo.is_fifo()


def test_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    written(Path("-"))
    assert capsys.readouterr().out == "text\n"


@pytest.mark.parametrize(
    ("name", "why"),
    [("", "Is a directory"), ("nosuch/file", "No such file"), ("file/file", "Not a directory")],
)
def test_what_cannot_be_written_is_refused_before(tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "file").touch()
    output = Output(str(tmp_path / name))
    with pytest.raises(UsageError, match=why):
        output.require()
    with pytest.raises(StoreError, match=why):
        output.write("text")


def test_a_file_stays_as_it_was_when_the_new_one_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "old"
    path.write_text("old\n", encoding="utf-8")
    with pytest.raises(UnicodeEncodeError):
        Output(str(path)).write("\ud800")
    assert path.read_text(encoding="utf-8") == "old\n"
    assert list(tmp_path.iterdir()) == [path]
