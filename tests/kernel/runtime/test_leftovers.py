"""What is damaged, half made or gone meanwhile: named, worked around, or mended, and nobody else's."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.kernel.runtime import trace
from tests.kernel.runtime.world import REQUIRED, World
from zonectl.cli.verbs import image as image_verb
from zonectl.errors import ImageError
from zonectl.images import layers
from zonectl.kernel import mount
from zonectl.model.state import ZoneState
from zonectl.runtime import roots
from zonectl.runtime.delete import delete
from zonectl.runtime.remains import owners
from zonectl.runtime.settle import recover
from zonectl.runtime.start import start
from zonectl.runtime.status import statuses
from zonectl.store import records

pytestmark = pytest.mark.requires(*REQUIRED)


def test_a_zone_that_is_named_like_a_run_is_none(world: World) -> None:
    """A zone file may name its zone so, and one that has lost its record still has its files."""
    name = "web-0123abcd"
    world.create(name=name)
    os.unlink(world.context.paths.record_file(name))
    (failed,) = recover(world.context)
    assert failed.zone == name
    assert Path(world.context.paths.zone_file(name)).exists()
    assert owners(world.context) is None, "what it holds is not known"
    delete(world.context, name, force=True)


def test_the_folder_of_a_killed_run_is_known_without_a_record(world: World) -> None:
    name = "web-0123abcd"
    records.make_folder(world.context.paths, name)
    os.mkdir(f"{world.context.paths.zone_dir(name)}/upper")
    assert owners(world.context) == {"0123abcd"}
    assert recover(world.context) == []
    assert records.list_names(world.context.paths) == []


def test_a_damaged_record_hides_no_process(world: World) -> None:
    world.started()
    live = world.live()
    Path(world.context.paths.record_file("web")).write_text("{")
    (found,) = statuses(world.context)
    assert (found.state, found.live, found.record) == (ZoneState.RUNNING, live, None)
    assert found.damaged
    delete(world.context, "web", force=True)
    assert statuses(world.context) == []


@pytest.mark.parametrize("ledger", ["ids_file", "leases_file"])
@pytest.mark.fault(
    "the ledgers of ids and addresses are damaged", "zones are created and deleted all the same"
)
def test_a_damaged_ledger_keeps_nobody_from_working(world: World, ledger: str) -> None:
    first = world.create()
    Path(getattr(world.context.paths, ledger)).write_text("{")
    second = world.create(name="other")
    assert first.ids != second.ids
    Path(getattr(world.context.paths, ledger)).write_text("{")
    for name in ("web", "other"):
        delete(world.context, name)
    aside = [path for path in Path(world.context.paths.root).iterdir() if ".damaged-" in path.name]
    assert aside
    for path in aside:
        path.unlink()


def test_a_copy_does_not_stand_on_its_image(world: World) -> None:
    paths = world.context.paths
    layers.import_dir(paths, str(world.root), "base")
    setting: Any = SimpleNamespace(paths=paths)
    used = partial(image_verb._used, setting)
    world.create(root='image = "base"\nmode = "copy"')
    layers.remove_image(paths, "base", used=used)
    start(world.context, "web")
    assert world.execute("true").exit_status.code == 0
    layers.import_dir(paths, str(world.root), "base")
    world.create(name="thin", root='image = "base"')
    with pytest.raises(ImageError, match="a zone stands on the image"):
        layers.remove_image(paths, "base", used=used)
    delete(world.context, "thin")
    delete(world.context, "web", force=True)
    layers.remove_image(paths, "base", used=used)


def test_an_image_that_goes_while_a_zone_is_made_is_missed(world: World) -> None:
    """Found, removed, recorded: the zone would stand on nothing."""
    paths = world.context.paths
    image = layers.import_dir(paths, str(world.root), "base")
    layers.remove_image(paths, "base")
    with pytest.raises(ImageError, match="removed meanwhile"), roots.kept(world.context, image.layers):
        pytest.fail("recorded all the same")


def test_a_zone_is_stopped_and_deleted_though_the_run_root_is_full(world: World) -> None:
    """What is deleted makes room; whoever cannot be stopped for want of it would be there for ever."""
    run = world.folder / "run"
    mount.mount("full", run, "tmpfs", 0, "size=512k,mode=700")
    try:
        world.context.paths.ensure()
        world.started()
        with suppress(OSError), (run / "filler").open("wb", buffering=0) as filler:
            while filler.write(bytes(4096)):
                pass
        with pytest.raises(OSError, match="No space"):
            (run / "more").write_bytes(b"x")
        world.stop()
        assert world.state() is ZoneState.INSTALLED
        last = records.load_last(world.context.paths, "web")
        assert last is not None
        assert last.by_user
        delete(world.context, "web")
        assert records.list_names(world.context.paths) == []
        (run / "filler").unlink()
    finally:
        world.clean()
        mount.umount(run)


def test_the_going_of_a_deleted_zone_is_synced(world: World) -> None:
    """Or its folder is there again after a power cut, empty (`make powercut` has seen it)."""
    world.create("/bin/true")
    zones = world.context.paths.zones_dir
    argv = [str(world.folder), str(world.number), "delete", "web"]
    calls = trace.record(argv, world.folder / "trace", calls=("rmdir", "fsync")).raw
    removed = next(at for at, raw in enumerate(calls) if trace.words(raw.arguments[0]) == f"{zones}/web")
    assert any(raw.name == "fsync" and f"<{zones}>" in raw.arguments[0] for raw in calls[removed:])


@pytest.mark.parametrize("root", ["sparse", "copy"])
def test_files_of_a_new_root_are_synced_before_the_zone_counts_as_installed(world: World, root: str) -> None:
    source, filled = {
        "sparse": ("host = true", f"{world.context.paths.images_dir}/layers/"),
        "copy": (f'path = "{world.root}"\nmode = "copy"', f"{world.context.paths.zone_dir('web')}/root/"),
    }[root]
    file = world.folder / "web.toml"
    file.write_text(world.text("/bin/true", root=source))
    argv = [str(world.folder), str(world.number), "create", str(file)]
    calls = trace.record(argv, world.folder / "trace", calls=("openat", "syncfs", "renameat")).raw
    written = [
        at for at, raw in enumerate(calls) if filled in str(raw.arguments) and "O_CREAT" in str(raw.arguments)
    ]
    synced = next(at for at, raw in enumerate(calls) if raw.name == "syncfs")
    recorded = max(
        at for at, raw in enumerate(calls) if raw.name == "renameat" and '"record.json"' in str(raw.arguments)
    )
    assert written
    assert max(written) < synced < recorded
