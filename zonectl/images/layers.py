"""The store as its users see it: images resolved, imported, listed, verified, removed."""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zonectl.errors import ImageError, StoreError
from zonectl.images import copy, known, references, storage
from zonectl.images.limits import Limits
from zonectl.images.reference import Reference, parse
from zonectl.images.storage import Layer
from zonectl.images.unpack import opened, unpack
from zonectl.store.locks import lock

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from zonectl.store.paths import Paths

GRACE_S = 3600.0
"""How long gc leaves a layer alone that nothing refers to: an import's zone may not be recorded yet."""

_LOCK_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What a zone's root is made from: folders, topmost first, absolute."""

    layers: tuple[str, ...]
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A line of the list of images; sizes are those of the files, not of the disk."""

    reference: str
    digest: str
    layers: tuple[str, ...]
    bytes: int
    entries: int
    created_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """A layer that is not what it was imported as."""

    layer: str
    reason: str


def resolve(paths: Paths, reference: Reference | str) -> Image:
    """The image that the reference means.

    Raises:
        ImageError: there is none such (the hint names near ones), or a layer of it is gone.
        StoreError: the list of references is damaged.

    """
    digests = references.find(paths, reference).layers
    for digest in digests:
        if not os.path.isdir(storage.layer_dir(paths, digest)):
            raise ImageError(
                f"the image {reference} has lost its layer {digest[:12]}", hint="import it again"
            )
    return _image(paths, digests)


def import_tar(
    paths: Paths, archive: str, reference: Reference | str | None, *, limits: Limits | None = None
) -> Image:
    """Unpack the archive (tar, also compressed by gzip, xz, bzip2 or zstd) as an image of one layer.

    The layer is named by the SHA-256 of the archive uncompressed; one that is there already is used.

    Raises:
        ImageError: the archive cannot be read, or is refused.
        StoreError: it cannot be stored.

    """
    bounds = limits or Limits()
    with (
        storage.fresh(paths) as temporary,
        opened(archive, scratch=paths.images_dir, limits=bounds) as archive_fd,
    ):
        target_fd = os.open(temporary, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            unpacked = unpack(archive_fd, target_fd, limits=bounds)
        except ImageError as error:
            raise ImageError(f"{archive}: {error.message}", hint=error.hint) from error
        finally:
            os.close(target_fd)
        layer = Layer(
            digest=unpacked.digest,
            tree=storage.describe(temporary),
            entries=unpacked.entries,
            bytes=unpacked.bytes,
            created_at=time.time(),
            skipped=unpacked.skipped,
        )
        return store(paths, temporary, layer, reference=reference)


def unpacked_tar(paths: Paths, archive: str) -> Image:
    """The image of the archive, unpacked only if it has not been before; it gets no reference.

    Raises:
        ImageError: the archive cannot be read, or is refused.
        StoreError: it cannot be stored.

    """
    before = known.digest_of(archive)
    digest = known.find(paths, before)
    if digest is not None and (found := unreferenced(paths, digest)) is not None:
        return found
    image = import_tar(paths, archive, None)
    # Only if the file is now what it was when it was unpacked, does its digest say what became of it.
    if known.digest_of(archive) == before:
        with _changing(paths, "import"):
            known.note(paths, before, image.digest)
    return image


def unreferenced(paths: Paths, digest: str) -> Image | None:
    """The image of the layer, which gc then leaves alone until a zone is recorded on it; None where there is none.

    Raises:
        Busy: the store was locked for too long.

    """
    with _changing(paths, "use"):
        return _image(paths, (digest,)) if storage.refresh(paths, digest) else None


def import_dir(paths: Paths, directory: str, reference: Reference | str) -> Image:
    """Copy the folder as an image of one layer, named by the fingerprint of its tree.

    Raises:
        ImageError: it cannot be read.
        StoreError: it cannot be stored.

    """
    with storage.fresh(paths) as temporary:
        copied = copy.copy_tree([directory], temporary, limits=Limits())
        return store_tree(paths, temporary, copied, reference=reference)


def store_tree(paths: Paths, temporary: str, copied: copy.Copied, *, reference: Reference | str) -> Image:
    """Put a folder of `storage.fresh`, filled, in its place, named by the fingerprint of its tree.

    Raises:
        ImageError: it cannot be read.
        StoreError: it cannot be stored.

    """
    tree = storage.describe(temporary)
    layer = Layer(
        digest=tree,
        tree=tree,
        entries=copied.entries,
        bytes=copied.bytes,
        created_at=time.time(),
        skipped=tuple(copied.skipped),
    )
    return store(paths, temporary, layer, reference=reference)


def store(paths: Paths, temporary: str, layer: Layer, *, reference: Reference | str | None) -> Image:
    """Put a folder of `storage.fresh`, filled, in its place as `layer`, and let the reference mean it.

    Raises:
        StoreError: it cannot be stored.
        Busy: the store was locked for too long.

    """
    storage.sync(temporary)
    with _changing(paths, "import"):
        storage.commit(paths, temporary, layer)
        if reference is not None:
            name = str(parse(reference) if isinstance(reference, str) else reference)
            entry = references.Entry(layers=(layer.digest,), created_at=layer.created_at)
            references.save(paths, {**references.load(paths), name: entry})
    return _image(paths, (layer.digest,))


def list_images(paths: Paths) -> list[Listed]:
    """Every image that has a reference, sorted by it.

    Raises:
        StoreError: the list of references is damaged, or the note of a layer.

    """
    return [_listed(paths, text, entry) for text, entry in sorted(references.load(paths).items())]


def remove_image(
    paths: Paths, reference: Reference | str, *, used: Callable[[], Collection[str]] = tuple
) -> None:
    """Forget the reference, and remove the layers that no other one means.

    `used` gives the folders of layers that zones stand on (`ZoneRecord.layers`), asked for under the store's lock.

    Raises:
        ImageError: there is no such image, or a zone stands on a layer that would go.
        StoreError: it cannot be removed.

    """
    with _changing(paths, "remove"):
        gone = references.find(paths, reference)
        text = str(parse(reference) if isinstance(reference, str) else reference)
        left = {name: entry for name, entry in references.load(paths).items() if name != text}
        doomed = set(gone.layers) - {digest for entry in left.values() for digest in entry.layers}
        needed = used()
        if any(storage.layer_dir(paths, digest) in needed for digest in doomed):
            raise ImageError(f"a zone stands on the image {text}", hint="delete the zone first")
        references.save(paths, left)
        for digest in doomed:
            storage.remove(paths, digest)


def gc(paths: Paths, *, used: Callable[[], Collection[str]], grace_s: float = GRACE_S) -> list[str]:
    """Remove leftovers, and layers with no reference, no zone and an age above `grace_s`; gives their digests.

    `used` is as for `remove_image`.

    Raises:
        StoreError: the list of references is damaged, or a layer cannot be removed.

    """
    with _changing(paths, "gc"):
        storage.sweep(paths)
        needed = used()
        meant = {digest for entry in references.load(paths).values() for digest in entry.layers}
        doomed = [
            digest
            for digest in storage.list_digests(paths)
            if digest not in meant
            and storage.layer_dir(paths, digest) not in needed
            and storage.age_s(paths, digest) > grace_s
        ]
        for digest in doomed:
            storage.remove(paths, digest)
    return doomed


def verify(paths: Paths, reference: Reference | str | None = None) -> list[Damage]:
    """Read every file of the image's layers (of all, without a reference); gives those that have changed.

    Raises:
        ImageError: there is no such image.
        StoreError: the list of references is damaged.

    """
    known = storage.list_digests(paths) if reference is None else references.find(paths, reference).layers
    return [damage for digest in known if (damage := _damage(paths, digest))]


def _damage(paths: Paths, digest: str) -> Damage | None:
    try:
        expected = storage.load(paths, digest).tree
        changed = storage.describe(storage.layer_dir(paths, digest)) != expected
    except (ImageError, StoreError) as error:
        return Damage(layer=digest, reason=error.message)
    return Damage(layer=digest, reason="its files have changed") if changed else None


def _image(paths: Paths, digests: tuple[str, ...]) -> Image:
    folders = tuple(storage.layer_dir(paths, digest) for digest in digests)
    return Image(layers=folders, digest=_digest(digests))


def _digest(digests: tuple[str, ...]) -> str:
    return digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _listed(paths: Paths, text: str, entry: references.Entry) -> Listed:
    notes = [storage.load(paths, digest) for digest in entry.layers]
    return Listed(
        reference=text,
        digest=_digest(entry.layers),
        layers=entry.layers,
        bytes=sum(note.bytes for note in notes),
        entries=sum(note.entries for note in notes),
        created_at=entry.created_at,
    )


@contextmanager
def reading(paths: Paths) -> Iterator[None]:
    """Have no layer removed meanwhile; any number of readers at once, for moments only.

    Raises:
        Busy: the store is changed for too long.

    """
    with lock(paths.images_lock, verb="image use", zone="images", timeout_s=_LOCK_TIMEOUT_S, shared=True):
        yield


@contextmanager
def _changing(paths: Paths, verb: str) -> Iterator[None]:
    with lock(paths.images_lock, verb=f"image {verb}", zone="images", timeout_s=_LOCK_TIMEOUT_S):
        yield
