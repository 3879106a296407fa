"""Names of images: `busybox`, `debian:12`, `team/web:1.4`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from zonectl.errors import ImageError

DEFAULT_TAG = "latest"
MAX_NAME = 255

_NAME = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*\Z")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A name and a tag; the patterns are those of the OCI distribution specification."""

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
    if len(text) > MAX_NAME or not _NAME.match(name) or (colon and not _TAG.match(tag)):
        raise ImageError(f"not an image reference: {text!r:.80}", hint="write NAME or NAME:TAG, as debian:12")
    return Reference(name=name, tag=tag or DEFAULT_TAG)
