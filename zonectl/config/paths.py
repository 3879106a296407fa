"""Kinds of paths: of the host, which may be relative to the zone file, and of the zone, which may not."""

from __future__ import annotations

import posixpath
import re

from zonectl.config.kinds import HIDDEN, Refused, Schema, shown, string, visible
from zonectl.model.config import HOME

MOST_BYTES = 4095
"""PATH_MAX less the NUL (limits.h)."""

_NO_DOTS = r"(?!(.*/)?\.\.(/|$))"
_ABSOLUTE = re.compile("/")
_HOME = re.compile(r"~(/|\Z)")


def normal(path: str) -> str:
    """An absolute path without empty and `.` components."""
    return "/" + "/".join(part for part in path.split("/") if part not in {"", "."})


def _checked(value: object) -> str:
    text = visible(string(value))
    if not text:
        raise Refused("must not be empty")
    if len(text.encode()) > MOST_BYTES:
        raise Refused(f"must be at most {MOST_BYTES} bytes long")
    if ".." in text.split("/"):
        raise Refused(f"{shown(text)} must not have .. in it")
    return text


class WorkFolder:
    """A folder of the zone, or `~` for the home of the user."""

    __slots__ = ()
    label = "an absolute path or `~`"

    def read(self, value: object) -> object:
        """The path without doubled slashes."""
        return value if value == HOME else ZonePath().read(value)

    def schema(self) -> Schema:
        """A text that starts with a slash, or is a tilde."""
        pattern = rf"^({HOME}|{_NO_DOTS}/[^{HIDDEN}]*)$"
        return {"type": "string", "pattern": pattern, "maxLength": MOST_BYTES}


class HostPath:
    """A path of the host. Read as it is written: whoever knows the zone file's folder makes it absolute."""

    __slots__ = ()
    label = "a path"

    def is_path(self, text: str) -> bool:
        """Whether `text`, which may stand there, is a path: some keys take words as well."""
        del text
        return True

    def read(self, value: object) -> object:
        """The path, absolute or relative."""
        text = _checked(value)
        if _HOME.match(text):
            raise Refused(f"{shown(text)}: ~ is not expanded here, write the whole path")
        return text

    def schema(self) -> Schema:
        """A text without `..` components."""
        return {"type": "string", "pattern": rf"^{_NO_DOTS}(?!~(/|$))[^{HIDDEN}]+$", "maxLength": MOST_BYTES}


class ZonePath:
    """An absolute path, in the zone or of a device of the host, without `..`. Read to its normal form."""

    __slots__ = ()
    label = "an absolute path"

    def read(self, value: object) -> object:
        """The path without doubled slashes."""
        text = _checked(value)
        if not _ABSOLUTE.match(text):
            raise Refused(f"{shown(text)} must be absolute, starting with /")
        return normal(text)

    def schema(self) -> Schema:
        """A text that starts with a slash."""
        return {"type": "string", "pattern": rf"^{_NO_DOTS}/[^{HIDDEN}]*$", "maxLength": MOST_BYTES}


def absolute(path: str, folder: str) -> str:
    """`path`, relative to the absolute `folder`, as a normal absolute path."""
    return normal(posixpath.join(folder, path))
