"""The base of sparse roots: what of the host it shows, and that the store has it once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zonectl.errors import StoreError
from zonectl.images import layers, sparse, storage

if TYPE_CHECKING:
    from zonectl.store.paths import Paths

pytestmark = pytest.mark.requires("root")


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host of the test's own, as far as the base looks at one."""
    top = tmp_path / "host"
    (top / "etc/ssl/certs").mkdir(parents=True)
    (top / "etc/alternatives").mkdir()
    (top / "etc/alternatives/vi").symlink_to("/usr/bin/vim.tiny")
    (top / "etc/ssl/certs/one.pem").write_text("public")
    (top / "etc/ssl/certs/key.pem").write_text("secret")
    (top / "etc/ssl/certs/key.pem").chmod(0o640)
    (top / "etc/ssl/certs/private").mkdir(mode=0o710)
    (top / "etc/ssl/certs/private/two.pem").write_text("behind a folder that is closed")
    (top / "etc/profile").write_text("PATH=/bin")
    (top / "etc/profile").chmod(0o4777)
    (top / "etc/shadow").write_text("secret")
    (top / "bin").symlink_to("usr/bin")
    (top / "sbin").mkdir()
    monkeypatch.setattr(sparse, "_HOST", str(top))
    return top


def base_of(paths: Paths) -> Path:
    (folder,) = sparse.base(paths).layers
    return Path(folder)


def test_it_shows_what_is_listed_and_public(paths: Paths, host: Path) -> None:
    base = base_of(paths)
    assert (base / "etc/ssl/certs/one.pem").read_text() == "public"
    assert os.readlink(base / "etc/alternatives/vi") == "/usr/bin/vim.tiny"
    assert os.readlink(base / "bin") == "usr/bin"
    assert (base / "etc/profile").stat().st_mode & 0o7777 == 0o755, "neither setuid nor writable by others"
    assert (base / "etc/passwd").read_text().startswith("root:x:0:0:")
    hidden = ("etc/shadow", "etc/ssl/certs/key.pem", "etc/ssl/certs/private", "sbin")
    assert [name for name in hidden if os.path.lexists(base / name)] == []
    assert (host / "etc/shadow").exists()


def test_its_modes_do_not_depend_on_the_umask(paths: Paths, host: Path) -> None:
    before = os.umask(0o077)
    try:
        base = base_of(paths)
    finally:
        os.umask(before)
    modes = {name: (base / name).stat().st_mode & 0o7777 for name in (".", "etc", "tmp", "root", "etc/group")}
    assert modes == {".": 0o755, "etc": 0o755, "tmp": 0o1777, "root": 0o700, "etc/group": 0o644}
    assert host.is_dir()


def test_it_is_made_once(paths: Paths, host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = base_of(paths)
    monkeypatch.setattr(sparse, "fill", lambda _: pytest.fail("made again"))
    assert base_of(paths) == first
    assert host.is_dir()


@pytest.mark.parametrize("change", ["content", "mode", "link", "new file"])
def test_another_host_has_another(paths: Paths, host: Path, change: str) -> None:
    first = base_of(paths)
    if change == "content":
        (host / "etc/ssl/certs/one.pem").write_text("PUBLIC")
    elif change == "mode":
        (host / "etc/ssl/certs/key.pem").chmod(0o644)
    elif change == "link":
        (host / "etc/alternatives/vi").unlink()
        (host / "etc/alternatives/vi").symlink_to("/usr/bin/vim.nano")
    else:
        (host / "etc/localtime").write_text("here")
    second = base_of(paths)
    assert second != first
    assert first.is_dir(), "zones stand on it"


def test_a_host_that_changes_all_the_time_is_refused(
    paths: Paths, host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill, seen = sparse.fill, []

    def fill_while_it_changes(folder: str) -> None:
        fill(folder)
        seen.append(folder)
        (host / "etc/profile").write_text("x" * len(seen))

    monkeypatch.setattr(sparse, "fill", fill_while_it_changes)
    with pytest.raises(StoreError, match="changes while it is copied"):
        sparse.base(paths)
    assert len(seen) > 1, "it was tried again"
    assert storage.list_digests(paths) == []
    assert storage.leftovers(paths) == []


def test_it_goes_with_the_last_zone_on_it(paths: Paths, host: Path) -> None:
    base = base_of(paths)
    assert layers.gc(paths, used=lambda: [str(base)], grace_s=0) == []
    assert layers.gc(paths, used=tuple) == [], "a zone may be about to be recorded"
    assert layers.gc(paths, used=tuple, grace_s=0) == [base.name]
    assert not base.exists()
    assert host.is_dir()


def test_it_can_be_verified(paths: Paths, host: Path) -> None:
    base = base_of(paths)
    assert layers.verify(paths) == []
    (base / "etc/profile").write_text("PATH=/evil")
    (damage,) = layers.verify(paths)
    assert damage.layer == base.name
    assert host.is_dir()
