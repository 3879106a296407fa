"""Names of images: `busybox`, `debian:12`, `team/web:1.4`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from zonectl.errors import ImageError
from zonectl.model.names import IMAGE_LENGTH, IMAGE_TAG, IMAGE_WORD

DEFAULT_TAG = "latest"

_NAME = re.compile(rf"{IMAGE_WORD}(?:/{IMAGE_WORD})*\Z")
_TAG = re.compile(rf"{IMAGE_TAG}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A name and a tag."""

    name: str
    tag: str = DEFAULT_TAG

    def __str__(self) -> str:
        return f"{self.name}:{self.tag}"


def parse(text: str) -> Reference:
    """The reference that `text` is; without a tag it means `latest`.

    Raises:
        ImageError: it is none.

    """
    name, colon, tag = text.partition(":")
    if len(text) > IMAGE_LENGTH or not _NAME.match(name) or (colon and not _TAG.match(tag)):
        raise ImageError(f"not an image reference: {text!r:.80}", hint="write NAME or NAME:TAG, as debian:12")
    return Reference(name=name, tag=tag or DEFAULT_TAG)
