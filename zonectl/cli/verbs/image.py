"""image: what the roots of zones are made from."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from zonectl.cli import failure, question, table, values
from zonectl.cli.moments import moment
from zonectl.cli.table import Column
from zonectl.errors import StoreError
from zonectl.model.escape import escape
from zonectl.model.units import format_size

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable

    from zonectl.cli.setting import Setting
    from zonectl.images.layers import Image, Listed

DESCRIPTION = """\
Build images on this host, import them from archives and folders, list, verify and remove them. An image is named NAME
or NAME:TAG; without a tag, latest is meant.
"""
EXAMPLES = """\
zonectl image build busybox
zonectl image build debian --suite trixie
zonectl image import root.tar.zst team/web:1.4
zonectl image list
zonectl image verify
zonectl image remove -f debian:12
zonectl image prune
"""

_COLUMNS = (
    Column("reference", "IMAGE"),
    Column("digest", "DIGEST"),
    Column("bytes", "SIZE", number=True),
    Column("entries", "ENTRIES", number=True),
    Column("created_at", "CREATED"),
)
_DIGEST_SHOWN = 12
_MIB = 1 << 20


def arguments(parser: ArgumentParser) -> None:
    """Declare what the verb takes."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, (summary, description, declare) in _ACTIONS.items():
        declare(actions.add_parser(name, help=summary, description=description))


def _build_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("kind", metavar="KIND", choices=("busybox", "debian"), help="busybox or debian")
    parser.add_argument(
        "--suite", metavar="SUITE", default="bookworm", type=values.text, help="of debian: bookworm"
    )
    parser.add_argument(
        "--variant", metavar="VARIANT", default="minbase", type=values.text, help="of debian: minbase"
    )
    parser.add_argument(
        "--mirror", metavar="URL", type=values.text, help="of debian: where the packages come from"
    )


def _import_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "source", metavar="TAR|DIR", type=values.text, help="tar, also compressed, or a folder"
    )
    parser.add_argument("name", metavar="NAME[:TAG]", type=values.text, help="what the image is to be called")


def _list_arguments(parser: ArgumentParser) -> None:
    form = parser.add_mutually_exclusive_group()
    form.add_argument("-q", "--quiet", action="store_true", help="names only")
    form.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--no-headers", action="store_true", help="no titles above the columns")


def _verify_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("names", metavar="NAME[:TAG]", nargs="*", type=values.text, help="only these images")


def _remove_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("-f", "--force", action="store_true", help="do not ask")
    parser.add_argument("names", metavar="NAME[:TAG]", nargs="+", type=values.text, help="an image")


def _prune_arguments(_parser: ArgumentParser) -> None:
    """It takes none."""


_ACTIONS: dict[str, tuple[str, str, Callable[[ArgumentParser], None]]] = {
    "build": ("build busybox or debian", "Build an image on this host.", _build_arguments),
    "import": (
        "import an archive or a folder",
        "Import an archive or a folder as an image.",
        _import_arguments,
    ),
    "list": ("list images", "List images.", _list_arguments),
    "verify": (
        "find images whose files have changed",
        "Read every file of images, and tell what has changed.",
        _verify_arguments,
    ),
    "remove": ("remove images", "Remove images that no zone stands on.", _remove_arguments),
    "prune": (
        "remove what nothing stands on",
        "Remove what no image and no zone stands on, save what was imported within the hour.",
        _prune_arguments,
    ),
}


def run(options: Namespace, setting: Setting) -> int:
    """Do what is asked for."""
    if options.action == "list":
        setting.require_readable("image list")
        return _list(options, setting)
    setting.require_root(f"image {options.action}")
    setting.paths.ensure()
    match options.action:
        case "build":
            return _build(options, setting)
        case "import":
            return _import(options, setting)
        case "verify":
            return _verify(options, setting)
        case "prune":
            return _prune(setting)
    return _remove(options, setting)


def _build(options: Namespace, setting: Setting) -> int:
    from zonectl.images import bootstrap

    if options.kind == "busybox":
        return _tell(str(bootstrap.BUSYBOX_REFERENCE), bootstrap.busybox(setting.paths))
    built = bootstrap.debian(
        setting.paths, options.suite, options.variant, mirror=options.mirror, progress=failure.complain
    )
    return _tell(str(bootstrap.debian_reference(options.suite, options.variant)), built)


def _import(options: Namespace, setting: Setting) -> int:
    from zonectl.images import layers
    from zonectl.images.reference import parse

    reference = parse(options.name)
    source = os.path.abspath(options.source)
    if os.path.isdir(source):
        return _tell(str(reference), layers.import_dir(setting.paths, source, reference))
    return _tell(str(reference), layers.import_tar(setting.paths, source, reference))


def _tell(reference: str, image: Image) -> int:
    print(f"{reference} {image.digest[:_DIGEST_SHOWN]}")
    return 0


def _list(options: Namespace, setting: Setting) -> int:
    from zonectl.images import layers

    images = layers.list_images(setting.paths)
    if options.quiet:
        print("".join(f"{each.reference}\n" for each in images), end="")
    elif options.json:
        print(table.json_text([data(each) for each in images]), end="")
    else:
        print("".join(f"{line}\n" for line in as_text(images, headers=not options.no_headers)), end="")
    return 0


def data(image: Listed) -> dict[str, object]:
    """An image for programs."""
    return {
        "reference": image.reference,
        "digest": image.digest,
        "layers": list(image.layers),
        "bytes": image.bytes,
        "entries": image.entries,
        "created_at": round(image.created_at, 3),
    }


def as_text(images: list[Listed], *, headers: bool) -> list[str]:
    """The lines of the table."""
    rows = [
        [
            each.reference,
            each.digest[:_DIGEST_SHOWN],
            _size(each.bytes),
            str(each.entries),
            moment(each.created_at),
        ]
        for each in images
    ]
    return table.aligned(_COLUMNS, rows, headers=headers)


def _size(size_bytes: int) -> str:
    """A size as people want it in a list: to the MiB, if it is that large."""
    return f"{size_bytes / _MIB:.1f}MiB" if size_bytes >= _MIB else format_size(size_bytes)


def _verify(options: Namespace, setting: Setting) -> int:
    from zonectl.images import layers

    found = {
        damage.layer: damage.reason
        for name in options.names or [None]
        for damage in layers.verify(setting.paths, name)
    }
    for layer, reason in found.items():
        print(escape(f"{layer[:_DIGEST_SHOWN]}: {reason}"))
    return failure.FAILED if found else 0


def _remove(options: Namespace, setting: Setting) -> int:
    from zonectl.cli.batch import Batch
    from zonectl.images import layers

    if not options.force:
        question.confirm("remove", options.names)
    batch = Batch(debug=setting.debug)
    for name in dict.fromkeys(options.names):
        batch.each(
            [name], lambda name: layers.remove_image(setting.paths, name, used=partial(_used, setting))
        )
    return batch.worst


def _prune(setting: Setting) -> int:
    from zonectl.images import layers

    for layer in layers.gc(setting.paths, used=partial(_used, setting)):
        print(layer[:_DIGEST_SHOWN])
    return 0


def _used(setting: Setting) -> set[str]:
    """The folders of layers that zones stand on.

    Raises:
        StoreError: nobody knows what a damaged zone stands on.

    """
    from zonectl.store import records

    found: set[str] = set()
    for zone in records.load_all(setting.paths):
        if isinstance(zone, records.Damaged):
            if records.is_of_a_run(setting.paths, zone.name) and not os.path.lexists(zone.path):
                continue  # about to be recorded; it will see that its image is there still
            message = f"its record is damaged, so nobody knows which image it stands on: {zone.reason}"
            raise StoreError(message, zone=zone.name, hint=f"zonectl delete -f {zone.name}")
        found.update(zone.layers)
    return found
