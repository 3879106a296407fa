"""Giving a zone its root on disk: the layers it stands on, and the folders that it writes to."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from zonectl.errors import ImageError, StoreError
from zonectl.images import copy, layers
from zonectl.images.reference import parse
from zonectl.model.config import RootMode
from zonectl.runtime import sparse

if TYPE_CHECKING:
    from zonectl.model.config import ZoneConfig
    from zonectl.runtime.context import Context

OWN_FOLDERS = ("upper", "work")
USR_FOLDERS = ("upper-usr", "work-usr")
COPY = "root"


def install(context: Context, config: ZoneConfig, zone_dir: str) -> tuple[str, ...]:
    """Make what the zone's root needs in `zone_dir`; returns the folders below it, topmost first, absolute.

    Raises:
        ImageError: there is no such image, or the archive is refused.
        StoreError: the folder of `root.path` is not there, or the disk is full.

    """
    try:
        below = _layers(context, config, zone_dir)
        if config.root.mode is RootMode.COPY:
            _copy(below, f"{zone_dir}/{COPY}")
        else:
            for name in OWN_FOLDERS + (USR_FOLDERS if config.root.host else ()):
                _make_like(f"{zone_dir}/{name}", below[0])
    except OSError as error:
        raise StoreError(f"cannot install the root: {error.strerror or error}") from error
    return below


def _layers(context: Context, config: ZoneConfig, zone_dir: str) -> tuple[str, ...]:
    root = config.root
    if root.image is not None:
        return layers.resolve(context.paths, parse(root.image)).layers
    if root.tar is not None:
        return layers.import_tar(context.paths, root.tar, None).layers
    if root.host:
        return (sparse.build(f"{zone_dir}/{sparse.BASE}"),)
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
