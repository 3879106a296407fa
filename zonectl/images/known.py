"""known.json: which layer an archive was unpacked to, by its own SHA-256, so that it is not unpacked again."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from zonectl.errors import Damaged, ImageError
from zonectl.images import storage
from zonectl.images.storage import DIGEST, SCHEMA_VERSION
from zonectl.store import documents
from zonectl.store.fields import Fields

if TYPE_CHECKING:
    from zonectl.store.paths import Paths

_CHUNK_BYTES = 1024 * 1024


def digest_of(archive: str) -> str:
    """The SHA-256, in hex, of the file as it is on disk, compressed or not: a fraction of what unpacking it takes.

    Raises:
        ImageError: it cannot be read.

    """
    found = hashlib.sha256()
    try:
        # O_NONBLOCK: a FIFO would hang us; what is no file is refused by who unpacks it.
        fd = os.open(archive, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            if os.path.isfile(f"/proc/self/fd/{fd}"):
                while data := os.read(fd, _CHUNK_BYTES):
                    found.update(data)
        finally:
            os.close(fd)
    except OSError as error:
        raise ImageError(f"cannot read {archive}: {error.strerror}") from error
    return found.hexdigest()


def find(paths: Paths, archive_digest: str) -> str | None:
    """The digest of the layer, if it is there still."""
    layer = _load(paths).get(archive_digest)
    return layer if layer and os.path.isdir(storage.layer_dir(paths, layer)) else None


def note(paths: Paths, archive_digest: str, layer: str) -> None:
    """Remember the layer of an archive, and forget those that are gone. The caller holds the store's lock.

    Raises:
        StoreError: it cannot be written.

    """
    there = set(storage.list_digests(paths))
    kept = {key: value for key, value in _load(paths).items() if value in there}
    table = {**kept, archive_digest: layer}
    documents.write_json(_file(paths), {"schema_version": SCHEMA_VERSION, "archives": table})


def _load(paths: Paths) -> dict[str, str]:
    path = _file(paths)
    try:
        document = documents.read_optional(path, newest=SCHEMA_VERSION)
        table = Fields(path, document or {}).table("archives")
        found = {key: table.text(key) for key in table.values}
    except Damaged:
        return {}  # archives are unpacked again
    return {key: layer for key, layer in found.items() if DIGEST.match(key) and DIGEST.match(layer)}


def _file(paths: Paths) -> str:
    return f"{paths.images_dir}/known.json"
