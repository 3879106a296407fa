"""Hostile roots on the ways by which they come: as an archive, as an image of an archive or a folder, as a copy."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.kernel.hostile_roots import zoo
from tests.kernel.runtime.world import REQUIRED
from zonectl.images import layers
from zonectl.runtime.create import create
from zonectl.runtime.delete import delete
from zonectl.runtime.start import start
from zonectl.runtime.status import status
from zonectl.runtime.stop import stop
from zonectl.store import records

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kernel.hostile_roots.cage import Cage

pytestmark = [pytest.mark.requires(*REQUIRED), pytest.mark.timeout(60)]

PLACES = ("etc", "etc/passwd", "srv/file")


def _archive(cage: Cage) -> str:
    path = cage.given / "root.tar"
    # Files that shrink or cannot be read are not what is tried here; GNU tar knows where a sparse file has data.
    subprocess.run(["tar", "-cSf", path, "-C", cage.root, "."], check=True, capture_output=True)
    return str(path)


def _of_tar(cage: Cage) -> str:
    return f'tar = "{_archive(cage)}"'


def _of_image(cage: Cage) -> str:
    layers.import_tar(cage.world.context.paths, _archive(cage), "hostile")
    return 'image = "hostile"'


def _of_folder(cage: Cage) -> str:
    layers.import_dir(cage.world.context.paths, str(cage.root), "hostile")
    return 'image = "hostile"'


def _of_copy(cage: Cage) -> str:
    return f'path = "{cage.root}"\nmode = "copy"'


WAYS: dict[str, Callable[[Cage], str]] = {
    "tar": _of_tar,
    "image of a tar": _of_image,
    "image of a folder": _of_folder,
    "copy": _of_copy,
}


@pytest.mark.parametrize("kind", zoo.KINDS)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("way", WAYS)
def test_a_hostile_root_is_installed_as_it_is_or_refused(cage: Cage, way: str, place: str, kind: str) -> None:
    cage.spoil(place, kind)
    context = cage.world.context
    source = cage.attempt("import", lambda: WAYS[way](cage))
    if source is not None:
        text = cage.text(root=source)
        cage.attempt("create", lambda: create(context, cage.world.parse(text), text))
        _try(cage)
    _forget(cage)


def _try(cage: Cage) -> None:
    context, name = cage.world.context, cage.name
    if "create" in cage.refusals:
        assert records.list_names(context.paths) == [], "a create that fails leaves nothing"
        return
    cage.attempt("start", lambda: start(context, name))
    live = status(context, name).live
    if live is not None:
        cage.assert_own(live.pid)
        cage.attempt("exec", lambda: cage.world.execute("/busybox", "true", name=name, user="web"))
        stop(context, name)
    delete(context, name)


def _forget(cage: Cage) -> None:
    paths = cage.world.context.paths
    for image in layers.list_images(paths):
        layers.remove_image(paths, image.reference)
    layers.gc(paths, used=tuple, grace_s=-1)
    with suppress(FileNotFoundError):
        os.unlink(f"{paths.images_dir}/known.json")
