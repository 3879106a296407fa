"""Giving a zone its root on disk: the layers it stands on, and the folders that it writes to."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from zonectl.errors import ImageError, StoreError
from zonectl.images import copy, layers, sparse, storage
from zonectl.images.reference import parse
from zonectl.model.config import RootMode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zonectl.model.config import ZoneConfig
    from zonectl.runtime.context import Context

OWN_FOLDERS = ("upper", "work")
USR_FOLDERS = ("upper-usr", "work-usr")
COPY = "root"


@contextmanager
def kept(context: Context, below: Sequence[str]) -> Iterator[None]:
    """Have no layer of an image removed while the record that says who stands on `below` is written.

    Raises:
        ImageError: one has been removed since it was found.
        Busy: an import or a removal goes on for too long.

    """
    store = f"{context.paths.images_dir}/"
    of_images = [layer for layer in below if layer.startswith(store)]
    if not of_images:
        yield
        return
    with layers.reading(context.paths):
        if not all(os.path.isdir(layer) for layer in of_images):
            raise ImageError("the image has been removed meanwhile", hint="import or build it again")
        yield


def stands_on(config: ZoneConfig, below: tuple[str, ...]) -> tuple[str, ...]:
    """What of the folders `below` the zone still needs once it is installed: a copy needs none."""
    return () if config.root.mode is RootMode.COPY else below


def install(config: ZoneConfig, below: tuple[str, ...], zone_dir: str) -> None:
    """Make what the zone's root needs in `zone_dir`, over the folders `below`.

    Raises:
        ImageError: they cannot be copied.
        StoreError: the disk is full.

    """
    try:
        if config.root.mode is RootMode.COPY:
            _copy(below, f"{zone_dir}/{COPY}")
        else:
            for name in OWN_FOLDERS + (USR_FOLDERS if config.root.host else ()):
                _make_like(f"{zone_dir}/{name}", below[0])
    except OSError as error:
        raise StoreError(f"cannot install the root: {error.strerror or error}") from error


def sync(config: ZoneConfig, zone_dir: str) -> None:
    """Make the files that `install` has copied survive a power cut; folders that a start makes anew need none.

    Raises:
        StoreError: they cannot be written.

    """
    if config.root.mode is RootMode.COPY:
        storage.sync(zone_dir)


def below(context: Context, config: ZoneConfig) -> tuple[str, ...]:
    """The folders that the zone's root stands on, topmost first, absolute. An archive is unpacked into the store.

    Raises:
        ImageError: there is no such image or folder, or the archive is refused.
        StoreError: it cannot be stored.

    """
    root = config.root
    if root.image is not None:
        return layers.resolve(context.paths, parse(root.image)).layers
    if root.tar is not None:
        return layers.unpacked_tar(context.paths, root.tar).layers
    if root.host:
        return sparse.base(context.paths).layers
    path = root.path or ""
    if not os.path.isdir(path):
        msg = f"root.path {path} is not a folder"
        raise ImageError(msg)
    return (path,)


def _copy(below: tuple[str, ...], target: str) -> None:
    if os.path.lexists(target):
        shutil.rmtree(target)
    copy.copy_tree(below, target)


def _make_like(path: str, model: str) -> None:
    """An empty folder with the mode and owner of `model`: the upper folder's are those of the merged root."""
    found = os.stat(model)
    os.makedirs(path, mode=0o700, exist_ok=True)
    os.chmod(path, found.st_mode & 0o7777)
    os.chown(path, found.st_uid, found.st_gid)
