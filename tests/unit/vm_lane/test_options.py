from __future__ import annotations

from pathlib import Path

import pytest

from tests.vm.lane import options

MIB = 1 << 20


@pytest.mark.parametrize(
    ("text", "mebibytes"),
    [("512", 512), ("512M", 512), ("512 MiB", 512), ("2g", 2048), ("2GiB", 2048), ("2GB", 2048), ("0", 0)],
)
def test_sizes(text: str, mebibytes: int) -> None:
    assert options.parse_size(text) == mebibytes * MIB


@pytest.mark.parametrize("text", ["", "G", "-1", "1.5G", "1K", "1T", "1 000", "٢G"])
def test_what_is_not_a_size(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        options.parse_size(text)


def test_command_keeps_its_own_options() -> None:
    given = options.parse(["--cpus", "1", "--", "ls", "--rw", "-x", "--"])
    assert (given.cpus, given.command) == (1, ("ls", "--rw", "-x", "--"))


def test_the_stock_kernel_is_asked_for() -> None:
    assert options.parse(["--stock", "--", "true"]).stock
    assert not options.parse(["--", "true", "--stock"]).stock


def test_shared_folders_are_resolved_and_may_be_many(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    assert options.parse(["--rw", str(link), "--rw", "/", "--", "true"]).rw == (tmp_path, Path("/"))


@pytest.mark.parametrize("mistake", [["--disk", "big"], ["--rw", "/no/such/folder"], ["--cpus", "two"], []])
def test_mistakes_end_with_status_two(mistake: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        options.parse([*mistake, *(["--", "true"] if mistake else [])])
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_cache_follows_the_xdg_specification(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert options.default_cache() == Path("/caches/zonectl-lane")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", "/home/me")
    assert options.default_cache() == Path("/home/me/.cache/zonectl-lane")
