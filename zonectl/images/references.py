"""refs.json: which layers a reference means."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zonectl.errors import ImageError
from zonectl.images.reference import Reference, parse
from zonectl.images.storage import DIGEST, SCHEMA_VERSION
from zonectl.store import documents
from zonectl.store.fields import Fields

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zonectl.store.paths import Paths


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a reference means: digests of layers, topmost first."""

    layers: tuple[str, ...]
    created_at: float


def load(paths: Paths) -> dict[str, Entry]:
    """Every reference of the store.

    Raises:
        StoreError: refs.json is damaged or newer.

    """
    path = _file(paths)
    document = documents.read_optional(path, newest=SCHEMA_VERSION)
    table = Fields(path, document or {}).table("references")
    return {text: _entry(table.table(text), text) for text in table.values}


def save(paths: Paths, entries: Mapping[str, Entry]) -> None:
    """Replace every reference of the store, durably.

    Raises:
        StoreError: it cannot be written.

    """
    table = {
        text: {"layers": list(entry.layers), "config": {}, "created_at": entry.created_at}
        for text, entry in sorted(entries.items())
    }
    documents.write_json(_file(paths), {"schema_version": SCHEMA_VERSION, "references": table})


def find(paths: Paths, reference: Reference | str) -> Entry:
    """What the reference means.

    Raises:
        ImageError: there is none such; the hint names those that are like it, and how to import one.
        StoreError: refs.json is damaged or newer.

    """
    wanted = str(parse(reference) if isinstance(reference, str) else reference)
    entries = load(paths)
    if wanted not in entries:
        raise ImageError(f"no image {wanted}", hint=_hint(wanted, list(entries)))
    return entries[wanted]


def _hint(wanted: str, known: list[str]) -> str:
    near = difflib.get_close_matches(wanted, known, n=3) or [
        text for text in known if text.partition(":")[0] == wanted.partition(":")[0]
    ]
    if near:
        return f"there is {', '.join(near[:3])}"
    name = wanted.partition(":")[0]
    if name in {"busybox", "debian"}:
        return f"zonectl image build {name}"
    return f"zonectl image import ARCHIVE {wanted}"


def _file(paths: Paths) -> str:
    return f"{paths.images_dir}/refs.json"


def _entry(fields: Fields, text: str) -> Entry:
    layers = fields.texts("layers")
    # They become paths.
    if not layers or not all(DIGEST.match(layer) for layer in layers):
        raise fields.wrong(f"layers of {text}", "a list of digests")
    return Entry(layers=layers, created_at=fields.number("created_at"))
