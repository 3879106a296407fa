"""The folders of the store: layers made aside and put in their place whole, and what killed imports have left.

`layers/DIGEST` is a root, `layers/DIGEST.json` what is known about it; without the folder the note means nothing.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from zonectl.errors import ImageError, StoreError, SyscallError
from zonectl.images.fingerprint import fingerprint
from zonectl.kernel.syncfs import syncfs
from zonectl.store import documents
from zonectl.store.fields import Fields
from zonectl.store.paths import FOLDER_MODE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zonectl.store.paths import Paths

SCHEMA_VERSION = 1
DIGEST = re.compile(r"[0-9a-f]{64}\Z")
ROOT_MODE = 0o755


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A layer's note: `digest` names it, `tree` is its fingerprint; `skipped` what was left out of it."""

    digest: str
    tree: str
    entries: int
    bytes: int
    created_at: float
    skipped: tuple[str, ...] = ()


def layers_dir(paths: Paths) -> str:
    """Where the layers are."""
    return f"{paths.images_dir}/layers"


def layer_dir(paths: Paths, digest: str) -> str:
    """The folder of the layer, which overlay takes as a lowerdir."""
    return f"{layers_dir(paths)}/{digest}"


@contextmanager
def fresh(paths: Paths) -> Iterator[str]:
    """An empty folder for a new layer; what is still there at the end is removed.

    Raises:
        StoreError: it cannot be made.

    """
    path = f"{layers_dir(paths)}/{documents.temporary_name()}"
    try:
        os.makedirs(layers_dir(paths), FOLDER_MODE, exist_ok=True)
        sweep(paths)
        os.mkdir(path, FOLDER_MODE)
        os.chmod(path, ROOT_MODE)
    except OSError as error:
        raise StoreError(f"cannot create {path}: {error.strerror}") from error
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def sync(path: str) -> None:
    """Make the files in the folder `path` survive a power cut.

    Raises:
        StoreError: they cannot be written.

    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            syncfs(fd)
        finally:
            os.close(fd)
    except (OSError, SyscallError) as error:
        raise StoreError(f"cannot sync {path}: {error}") from error


def commit(paths: Paths, temporary: str, layer: Layer) -> None:
    """Put the finished folder, which `sync` has been called for, in its place; one that is there already stays.

    Raises:
        StoreError: it cannot be written.

    """
    note = layer_note(paths, layer.digest)
    try:
        if not os.path.isdir(layer_dir(paths, layer.digest)) or not os.path.exists(note):
            documents.write_json(note, {"schema_version": SCHEMA_VERSION, **asdict(layer)})
            with suppress(FileExistsError):
                _rename(temporary, layer_dir(paths, layer.digest))
        # Young again: gc leaves alone what was imported a moment ago and is not referred to yet.
        os.utime(note)
    except OSError as error:
        raise StoreError(f"cannot store the layer {layer.digest[:12]}: {error.strerror}") from error
    documents.sync_folder(layers_dir(paths))


def refresh(paths: Paths, digest: str) -> bool:
    """Make the layer young, so that gc leaves it alone; whether it is there at all."""
    try:
        os.utime(layer_note(paths, digest))
    except OSError:
        return False
    return os.path.isdir(layer_dir(paths, digest))


def describe(path: str) -> str:
    """The fingerprint of the tree in the folder `path`.

    Raises:
        ImageError: it cannot be read.

    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror}") from error
    try:
        return fingerprint(fd)
    finally:
        os.close(fd)


def layer_note(paths: Paths, digest: str) -> str:
    """The document about the layer."""
    return f"{layer_dir(paths, digest)}.json"


def load(paths: Paths, digest: str) -> Layer:
    """What is known about the layer.

    Raises:
        StoreError: its note is missing, damaged or newer.

    """
    path = layer_note(paths, digest)
    fields = Fields(path, documents.read_json(path, newest=SCHEMA_VERSION))
    return Layer(
        digest=fields.text("digest"),
        tree=fields.text("tree"),
        entries=fields.integer("entries"),
        bytes=fields.integer("bytes"),
        created_at=fields.number("created_at"),
        skipped=fields.texts("skipped"),
    )


def list_digests(paths: Paths) -> list[str]:
    """The digests of all layers that are there, sorted."""
    try:
        return sorted(name for name in os.listdir(layers_dir(paths)) if DIGEST.match(name))
    except FileNotFoundError:
        return []


def age_s(paths: Paths, digest: str) -> float:
    """How long ago the layer was imported last; endless without a note."""
    try:
        return time.time() - os.stat(layer_note(paths, digest)).st_mtime
    except FileNotFoundError:
        return float("inf")


def remove(paths: Paths, digest: str) -> None:
    """Remove the layer; it disappears at once, by a rename, and then its files go.

    Raises:
        StoreError: it cannot be removed.

    """
    doomed = f"{layers_dir(paths)}/{documents.temporary_name()}"
    try:
        with suppress(FileNotFoundError):
            os.rename(layer_dir(paths, digest), doomed)
        documents.remove(layer_note(paths, digest))
        if os.path.lexists(doomed):
            shutil.rmtree(doomed)
    except OSError as error:
        raise StoreError(f"cannot remove the layer {digest[:12]}: {error.strerror}") from error


def sweep(paths: Paths) -> None:
    """Remove what killed imports and removals have left."""
    for path in leftovers(paths):
        discard(path)


def leftovers(paths: Paths) -> list[str]:
    """The files and folders that killed imports and removals have left."""
    folders = (layers_dir(paths), paths.images_dir)
    return [path for folder in folders for path in documents.leftovers(folder)]


def discard(path: str) -> None:
    """Remove one of `leftovers`; gone is fine."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(FileNotFoundError):
            os.unlink(path)


def _rename(temporary: str, final: str) -> None:
    try:
        os.rename(temporary, final)
    except OSError as error:
        # ENOTEMPTY: somebody else has just stored the same.
        if not os.path.isdir(final):
            raise
        raise FileExistsError(final) from error
