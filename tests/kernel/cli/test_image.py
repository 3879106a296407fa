"""Images from the command line: imported, checked, removed, and what they leave swept up."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zonectl import cli
from zonectl.images import layers, storage
from zonectl.model.instance import Instance
from zonectl.model.names import ZoneId, ZoneName
from zonectl.model.record import ZoneRecord
from zonectl.store import records
from zonectl.store.paths import Paths

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.requires("root")

HOUR_S = 3600


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """An instance of the test's own, to which the command goes too."""
    monkeypatch.setenv("ZONECTL_ROOT", str(tmp_path / "state"))
    monkeypatch.setenv("ZONECTL_RUN", str(tmp_path / "run"))
    return Paths(Instance(root=str(tmp_path / "state"), run=str(tmp_path / "run")))


@pytest.fixture
def image(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run `zonectl image`; its status and what it printed."""

    def run(*words: str) -> tuple[int, str, str]:
        status = cli.main(["image", *words])
        return (status, *capsys.readouterr())

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    made.mkdir()
    (made / "file").write_text("content")
    return made


def old_layer(paths: Paths, source: Path) -> str:
    """The digest of a layer without a name, imported longer ago than the grace that prune gives."""
    loose = layers.import_dir(paths, str(source), "loose")
    refs = Path(paths.images_dir, "refs.json")
    refs.unlink()
    long_ago = time.time() - 2 * HOUR_S
    os.utime(storage.layer_note(paths, loose.digest), (long_ago, long_ago))
    return loose.digest


def stands_on(paths: Paths, *digests: str) -> None:
    """Record a zone with a root of these layers."""
    paths.ensure()
    record = ZoneRecord(
        id=ZoneId("0a1b2c3d"),
        name=ZoneName("web"),
        installed=True,
        created_at=1.0,
        ids=None,
        address=None,
        gateway=None,
        layers=tuple(storage.layer_dir(paths, digest) for digest in digests),
    )
    records.make_folder(paths, "web")
    records.save_record(paths, record)


def test_an_image_is_imported_listed_checked_and_removed(
    paths: Paths, folder: Path, image: Callable[..., tuple[int, str, str]]
) -> None:
    status, out, _ = image("import", str(folder), "team/web:1.4")
    assert (status, out.split()[0]) == (0, "team/web:1.4")
    assert image("list", "-q") == (0, "team/web:1.4\n", "")
    assert image("verify") == (0, "", "")
    assert image("verify", "team/web:1.4") == (0, "", "")
    assert image("remove", "-f", "team/web:1.4") == (0, "", "")
    assert image("list", "-q") == (0, "", "")
    assert storage.list_digests(paths) == []


def test_files_that_have_changed_are_told_once(
    paths: Paths, folder: Path, image: Callable[..., tuple[int, str, str]]
) -> None:
    for name in ("a:1", "b:1"):
        image("import", str(folder), name)
    (digest,) = storage.list_digests(paths)
    Path(storage.layer_dir(paths, digest), "file").write_text("changed")
    assert image("verify", "a:1", "b:1") == (1, f"{digest[:12]}: its files have changed\n", "")
    assert image("verify", "c:1")[0] == 1


def test_prune_removes_what_nothing_stands_on(
    paths: Paths, folder: Path, image: Callable[..., tuple[int, str, str]]
) -> None:
    digest = old_layer(paths, folder)
    assert image("prune") == (0, f"{digest[:12]}\n", "")
    assert image("prune") == (0, "", "")
    assert storage.list_digests(paths) == []


def test_prune_leaves_what_a_zone_stands_on(
    paths: Paths, folder: Path, image: Callable[..., tuple[int, str, str]]
) -> None:
    digest = old_layer(paths, folder)
    stands_on(paths, digest)
    assert image("prune") == (0, "", "")
    assert storage.list_digests(paths) == [digest]


@pytest.mark.parametrize("words", [("prune",), ("remove", "-f", "kept")])
def test_nothing_goes_while_a_damaged_zone_may_stand_on_it(
    paths: Paths, folder: Path, image: Callable[..., tuple[int, str, str]], words: tuple[str, ...]
) -> None:
    digest = old_layer(paths, folder)
    if words[0] == "remove":
        assert image("import", str(folder), "kept")[0] == 0
    stands_on(paths, digest)
    Path(paths.record_file("web")).write_text("{")
    status, out, err = image(*words)
    assert (status, out) == (1, "")
    assert "nobody knows which image it stands on" in err
    assert "try: zonectl delete -f web" in err
    assert storage.list_digests(paths) == [digest]
