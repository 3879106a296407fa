"""Names of zones and of what belongs to them, and which characters any text of a zone file may hold."""

from __future__ import annotations

import re
import unicodedata
from typing import NewType

ZoneName = NewType("ZoneName", str)
ZoneId = NewType("ZoneId", str)

ZONE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}\Z")
ZONE_ID = re.compile(r"[0-9a-f]{8}\Z")
IMAGE_WORD = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*"
"""A part of an image's name, as the OCI distribution specification has it; such parts are joined by slashes."""

IMAGE_TAG = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
IMAGE_LENGTH = 255
ZONE_NAME_RULE = "1 to 63 of a-z, 0-9 and -, not starting with -"


def zone_name(text: str) -> ZoneName:
    """The zone name that `text` is.

    Raises:
        ValueError: it does not match `[a-z0-9][a-z0-9-]{0,62}`.

    """
    if not ZONE_NAME.match(text):
        msg = f"not a zone name: {ZONE_NAME_RULE}"
        raise ValueError(msg)
    return ZoneName(text)


def unprintable(text: str) -> str | None:
    """The name of the first character in `text` that must not be in a name, path, label or address, if any.

    Refused are control characters (newlines among them), bidirectional and other format marks, line and
    paragraph separators, surrogates and unassigned code points: what could forge a line of a log or of a
    configuration that is made from it (CVE-2022-0811 is the model), or read otherwise than it is (CVE-2021-42574).
    """
    for char in text:
        if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"}:
            return unicodedata.name(char, f"U+{ord(char):04X}")
    return None
