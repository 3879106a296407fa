"""image: what the roots of zones are made from."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from zonectl.cli import failure, question, table, values
from zonectl.cli.moments import moment
from zonectl.cli.table import Column
from zonectl.model.units import format_size

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from zonectl.cli.setting import Setting
    from zonectl.images.layers import Image, Listed

DESCRIPTION = """\
Build images on this host, import them from archives and folders, list and remove them. An image is named NAME or
NAME:TAG; without a tag, latest is meant.
"""
EXAMPLES = """\
zonectl image build busybox
zonectl image build debian --suite trixie
zonectl image import root.tar.zst team/web:1.4
zonectl image list
zonectl image remove -f debian:12
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
    build = actions.add_parser(
        "build", help="build busybox or debian", description="Build an image on this host."
    )
    build.add_argument("kind", metavar="KIND", choices=("busybox", "debian"), help="busybox or debian")
    build.add_argument(
        "--suite", metavar="SUITE", default="bookworm", type=values.text, help="of debian: bookworm"
    )
    build.add_argument(
        "--variant", metavar="VARIANT", default="minbase", type=values.text, help="of debian: minbase"
    )
    build.add_argument(
        "--mirror", metavar="URL", type=values.text, help="of debian: where the packages come from"
    )
    taken = actions.add_parser(
        "import",
        help="import an archive or a folder",
        description="Import an archive or a folder as an image.",
    )
    taken.add_argument(
        "source", metavar="TAR|DIR", type=values.text, help="tar, also compressed, or a folder"
    )
    taken.add_argument("name", metavar="NAME[:TAG]", type=values.text, help="what the image is to be called")
    listing = actions.add_parser("list", help="list images", description="List images.")
    form = listing.add_mutually_exclusive_group()
    form.add_argument("-q", "--quiet", action="store_true", help="names only")
    form.add_argument("--json", action="store_true", help="print JSON")
    listing.add_argument("--no-headers", action="store_true", help="no titles above the columns")
    removal = actions.add_parser(
        "remove", help="remove images", description="Remove images that no zone stands on."
    )
    removal.add_argument("-f", "--force", action="store_true", help="do not ask")
    removal.add_argument("names", metavar="NAME[:TAG]", nargs="+", type=values.text, help="an image")


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


def _remove(options: Namespace, setting: Setting) -> int:
    from zonectl.cli.batch import Batch
    from zonectl.images import layers
    from zonectl.model.record import ZoneRecord
    from zonectl.store import records

    if not options.force:
        question.confirm("remove", options.names)
    found = [each for each in records.load_all(setting.paths) if isinstance(each, ZoneRecord)]
    used = {layer for each in found for layer in each.layers}
    batch = Batch(debug=setting.debug)
    for name in dict.fromkeys(options.names):
        batch.each([name], lambda name: layers.remove_image(setting.paths, name, used=used))
    return batch.worst
